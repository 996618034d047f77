// Whoever has no token at all can ask, promise a body, take the refusal and leave: nothing of that may stay behind, since what stays
// is as long as the header section was.
import { IncomingMessage } from "node:http";
import { test } from "node:test";
import { queryObjects } from "node:v8";
import { openDataPlane } from "../support/data-plane.ts";
import { eventually } from "../support/eventually.ts";
import { openWireClient } from "../support/wire.ts";

const CLIENTS = 40;

test("a request whose body never came is forgotten when its connection ends", async (t) => {
  const plane = await openDataPlane(t);
  for (let i = 0; i < CLIENTS; i++) {
    const client = await openWireClient(plane.port);
    client.send("POST /openai/v1/responses HTTP/1.1\r\nHost: proxy\r\nContent-Length: 5\r\n\r\n");
    await client.answer();
    client.socket.destroy();
  }
  await eventually(() => queryObjects(IncomingMessage) === 0);
});
