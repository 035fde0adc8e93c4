// The official SDK as a merchant. Reads a line of JSON after the other and answers each with one:
// first the SDK's configuration, then calls {"call": …, "method": …, "params": …}. Signatures of answers are checked.
import { createInterface } from "node:readline";
import { AlipaySdk } from "alipay-sdk";

const calls = {
  exec: (sdk, { method, params }) => sdk.exec(method, params, { validateSign: true }),
  pageExec: (sdk, { method, params }) => sdk.pageExec(method, "GET", params),
  checkNotifySign: (sdk, { params }) => [sdk.checkNotifySign(params), sdk.checkNotifySignV2(params)],
};

let sdk;
for await (const line of createInterface({ input: process.stdin })) {
  const asked = JSON.parse(line);
  let answer;
  try {
    if (sdk === undefined) {
      sdk = new AlipaySdk(asked);
      answer = { ok: "ready" };
    } else {
      answer = { ok: await calls[asked.call](sdk, asked) };
    }
  } catch (error) {
    answer = { error: `${error.name}: ${error.message}` };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
