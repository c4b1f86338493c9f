"""Open files: each station is a socket here and another one in the server."""

import resource

SPARE = 200
"""Files that a program needs beside its stations."""


def raise_file_limit(stations: int) -> str | None:
    """Let this process, and those it starts, open a file for each station.

    Returns a sentence for the reader when the machine does not allow so many, otherwise None.
    """
    wanted = stations + SPARE
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return None
    for new_hard in (hard, max(hard, wanted)):  # only root may raise the second
        allowed = wanted if new_hard == resource.RLIM_INFINITY else min(wanted, new_hard)
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, new_hard))
        except (ValueError, OSError):
            continue
        if allowed >= wanted:
            return None
    return (
        f"{stations:,} stations need {wanted:,} open files, and this machine allows a process only "
        f"{resource.getrlimit(resource.RLIMIT_NOFILE)[0]:,}: raise the hard limit (ulimit -Hn)"
    )
