// An OCPP 1.6 station made of npm's ocpp-rpc in strict mode: it validates every frame Parkade sends.
//
//   node station.mjs '{"endpoint": "ws://127.0.0.1:19520", "identity": "RPC-1", "idTag": "T"}'
//
// More keys: password, ca (PEM file to trust), waitForLimitMs. One JSON object a line goes to
// standard output: every frame both ways, every violation of the schema, and the end.

import { createRequire } from "node:module";
import { readFileSync } from "node:fs";
import { setTimeout as pause } from "node:timers/promises";

const { RPCClient, createRPCError } = createRequire(process.argv[3] ?? import.meta.url)("ocpp-rpc");

const wanted = JSON.parse(process.argv[2]);
const tell = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const now = () => new Date().toISOString();

const station = new RPCClient({
  endpoint: wanted.endpoint,
  identity: wanted.identity,
  password: wanted.password ?? null,
  protocols: ["ocpp1.6"],
  strictMode: true,
  reconnect: false,
  callTimeoutMs: 15000,
  wsOpts: wanted.ca ? { ca: readFileSync(wanted.ca), checkServerIdentity: () => undefined } : {},
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
    pause(wanted.waitForLimitMs ?? 20000).then(() => null),
  ]);
  if (limit !== null) {
    await status("Charging");
    for (let n = 1; n <= 3; n += 1) {
      await sample(transactionId, Math.min(limit, 16), meterStart + n);
      await pause(100);
    }
  }
  await station.call("StopTransaction", {
    transactionId,
    idTag: wanted.idTag,
    meterStop: meterStart + 4,
    timestamp: now(),
    reason: "Local",
  });
  await status("Finishing");
  await status("Available");
  return { transactionId, limit };
}

try {
  await station.connect();
  await boot();
  await station.call("StatusNotification", { connectorId: 0, errorCode: "NoError", status: "Available" });
  await status("Available");
  const session = await charge();
  await station.call("Heartbeat", {});
  tell({ event: "done", protocol: station.protocol, profiles: profiles.length, ...session });
  await station.close();
} catch (error) {
  tell({ event: "failed", error: `${error.name} ${error.message}` });
  process.exitCode = 1;
  await station.close({ force: true }).catch(() => undefined);
}
