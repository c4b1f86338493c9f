// Baseline: npm's ocpp-rpc as a bare server in strict mode: node rpc_server.mjs PORT PACKAGE_JSON

import { createRequire } from "node:module";

const { RPCServer } = createRequire(process.argv[3])("ocpp-rpc");
const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true });

server.auth((accept) => accept());
server.on("client", (client) => {
  client.handle("BootNotification", () => ({
    status: "Accepted",
    interval: 300,
    currentTime: new Date().toISOString(),
  }));
  client.handle("Heartbeat", () => ({ currentTime: new Date().toISOString() }));
  client.handle("MeterValues", () => ({}));
  client.handle("StatusNotification", () => ({}));
});
await server.listen(Number(process.argv[2]), "127.0.0.1");
