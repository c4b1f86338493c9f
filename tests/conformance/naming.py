"""How tests are named: ``test_tc_004_1_…`` is the test of case ``TC_004_1``."""

import re

TEST_OF_CASE = re.compile(r"test_(tc_\d{3}(?:_\d)?)_")
