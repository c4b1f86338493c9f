// An OCPP 1.6 station made of npm's ocpp-rpc in strict mode: it validates every frame Parkade sends.
//
//   node station.mjs '{"endpoint": "ws://127.0.0.1:19520", "identity": "RPC-1", "idTag": "T"}'
//
// More keys: password, ca (PEM file to trust), checkName (the server's name is checked, too), cert and
// key (PEM files to show), waitForLimitMs, untilRemoteStop (it is told when it waits for that), csr (a
// signing request: no session, only a certificate), connectOnly. One JSON object a line goes to
// standard output: every frame both ways, every violation of the schema, and the end.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const { RPCClient, createRPCError } = createRequire(process.argv[3] ?? import.meta.url)("ocpp-rpc");

const wanted = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const now = () => new Date().toISOString();

const tls = {};
for (const name of ["ca", "cert", "key"]) if (wanted[name]) tls[name] = readFileSync(wanted[name]);
if (!wanted.checkName) tls.checkServerIdentity = () => undefined;

const station = new RPCClient({
  endpoint: wanted.endpoint,
  identity: wanted.identity,
  password: wanted.password ?? null,
  protocols: ["ocpp1.6"],
  strictMode: true,
  reconnect: false,
  callTimeoutMs: 15000,
  wsOpts: tls.ca ? tls : {},
});

station.on("message", ({ message, outbound }) =>
  tell({ direction: outbound ? "sent" : "received", frame: JSON.parse(message.toString()) }),
);
station.on("strictValidationFailure", ({ method, error, outbound }) =>
  tell({ event: "violation", method, outbound, error: `${error.message} ${JSON.stringify(error.details ?? {})}` }),
);
station.on("badMessage", ({ error }) => tell({ event: "violation", error: String(error) }));

const profiles = [];
let limitArrived;
const firstLimit = new Promise((resolve) => (limitArrived = resolve));

station.handle("SetChargingProfile", ({ params }) => {
  profiles.push(params);
  const periods = params.csChargingProfiles.chargingSchedule.chargingSchedulePeriod;
  if (periods[0].limit >= 6) limitArrived(periods[0].limit);
  return { status: "Accepted" };
});
let stopOrdered;
const remoteStop = new Promise((resolve) => (stopOrdered = resolve));
station.handle("RemoteStopTransaction", ({ params }) => {
  stopOrdered(params.transactionId);
  return { status: "Accepted" };
});

let chainArrived;
const chain = new Promise((resolve) => (chainArrived = resolve));
station.handle("CertificateSigned", ({ params }) => {
  chainArrived(params.certificateChain);
  return { status: "Accepted" };
});

const patiently = (promise, what) =>
  Promise.race([
    promise,
    pause(20000, null, { ref: false }).then(() => {
      throw Error(`no ${what} within 20 s`);
    }),
  ]);

station.handle("ClearChargingProfile", () => ({ status: "Accepted" }));
station.handle("ChangeConfiguration", () => ({ status: "Accepted" }));
station.handle("TriggerMessage", () => ({ status: "NotImplemented" }));
station.handle("GetConfiguration", ({ params }) => {
  const known = { NumberOfConnectors: "1", SupportedFeatureProfiles: "Core,SmartCharging" };
  const asked = params.key ?? Object.keys(known);
  return {
    configurationKey: asked
      .filter((key) => key in known)
      .map((key) => ({ key, readonly: true, value: known[key] })),
    unknownKey: asked.filter((key) => !(key in known)),
  };
});
station.handle(({ method }) => {
  throw createRPCError("NotImplemented", `${method} is not implemented`);
});

const status = (state) =>
  station.call("StatusNotification", { connectorId: 1, errorCode: "NoError", status: state, timestamp: now() });

const sample = (transactionId, currentA, energyWh) =>
  station.call("MeterValues", {
    connectorId: 1,
    transactionId,
    meterValue: [
      {
        timestamp: now(),
        sampledValue: [
          ...["L1", "L2", "L3"].map((phase) => ({
            value: currentA.toFixed(2),
            measurand: "Current.Import",
            phase,
            unit: "A",
          })),
          { value: (currentA * 690).toFixed(1), measurand: "Power.Active.Import", unit: "W" },
          { value: energyWh.toFixed(0), measurand: "Energy.Active.Import.Register", unit: "Wh" },
        ],
      },
    ],
  });

async function boot() {
  for (;;) {
    const answer = await station.call("BootNotification", {
      chargePointVendor: "npm",
      chargePointModel: "ocpp-rpc",
      firmwareVersion: "2",
    });
    if (answer.status === "Accepted") return;
    await pause(500);
  }
}

async function charge() {
  await status("Preparing");
  const { idTagInfo } = await station.call("Authorize", { idTag: wanted.idTag });
  if (idTagInfo.status !== "Accepted") throw Error(`idTag is ${idTagInfo.status}`);
  const meterStart = 1000;
  const { transactionId } = await station.call("StartTransaction", {
    connectorId: 1,
    idTag: wanted.idTag,
    meterStart,
    timestamp: now(),
  });
  await status("SuspendedEVSE");
  const limit = await Promise.race([
    firstLimit,
    pause(wanted.waitForLimitMs ?? 20000, null, { ref: false }),
  ]);
  if (limit !== null) {
    await status("Charging");
    for (let n = 1; n <= 3; n += 1) {
      await sample(transactionId, Math.min(limit, 16), meterStart + n);
      await pause(100);
    }
  }
  let reason = "Local";
  if (wanted.untilRemoteStop) {
    tell({ event: "charging", transactionId });
    const told = await patiently(remoteStop, "RemoteStopTransaction");
    if (told !== transactionId) throw Error(`told to stop ${told}, not ${transactionId}`);
    reason = "Remote";
  }
  await station.call("StopTransaction", {
    transactionId,
    idTag: wanted.idTag,
    meterStop: meterStart + 4,
    timestamp: now(),
    reason,
  });
  await status("Finishing");
  await status("Available");
  return { transactionId, limit };
}

async function whole() {
  await boot();
  await station.call("StatusNotification", { connectorId: 0, errorCode: "NoError", status: "Available" });
  await status("Available");
  const session = await charge();
  await station.call("Heartbeat", {});
  return { profiles: profiles.length, ...session };
}

async function certificate() {
  await boot();
  const { status: answer } = await station.call("SignCertificate", { csr: wanted.csr });
  if (answer !== "Accepted") throw Error(`SignCertificate was ${answer}`);
  return { chain: await patiently(chain, "CertificateSigned") };
}

const work = wanted.connectOnly ? () => ({}) : wanted.csr ? certificate : whole;

try {
  await station.connect();
  tell({ event: "done", protocol: station.protocol, ...(await work()) });
  await station.close();
} catch (error) {
  tell({ event: "failed", error: `${error.name} ${error.message}`, httpStatus: error.code ?? null });
  process.exitCode = 1;
  await station.close({ force: true }).catch(() => undefined);
}
