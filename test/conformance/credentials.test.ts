import { expect, it } from "vitest";
import { command, count, failure, linkTo, refusal } from "../support/link-probe.js";
import { describeRedis, RedisServer } from "../support/redis-server.js";
import { RespStub } from "../support/resp-stub.js";

/** On a busy machine. What is refused is told at once all the same. */
const patiently = { timeoutMs: 5_000 };

describeRedis("link that asks for its password", () => {
  it("asks at once for another one when one is refused, and says why there is none", async () => {
    await using server = await RedisServer.start({ config: { requirepass: "old-pass-w0rd" } });
    let password: string | Error = "old-pass-w0rd";
    const asked = () => {
      if (typeof password === "string") return password;
      throw password;
    };
    const link = linkTo(server.url, { password: asked });
    expect(await link.run([count("n")], patiently)).toEqual([1]);

    await server.admin.config("SET", "requirepass", "new-pass-w0rd");
    password = "new-pass-w0rd";
    await server.cut();
    expect(await link.run([count("n")], patiently)).toEqual([2]);

    await server.admin.config("SET", "requirepass", "other-pass-w0rd");
    password = new RangeError("of the new-pass-w0rd");
    await server.cut();
    expect((await failure(link.run([count("n")]))).data).toMatchObject({
      outcome: "refused",
      problem: expect.stringMatching(/^WRONGPASS /),
    });
    const without = linkTo(server.url, { password: asked });
    expect((await failure(without.ping())).data).toMatchObject({
      outcome: "notSent",
      problem: "link.password() has thrown RangeError",
    });
    await Promise.all([link, without].map((one) => one.close()));
  });

  it("says anew who it is to a server that has forgotten it", async () => {
    await using server = await RedisServer.start();
    let connections = 0;
    let forgets = false;
    await using stub = await RespStub.before(server.port, (name) => {
      if (name === "CLIENT") connections++;
      return forgets && name === "GET" ? new Error("NOAUTH Authentication required.") : undefined;
    });
    const link = linkTo(stub.url);
    await link.run([command("SET", "key", 1)], patiently);

    forgets = true;
    expect(refusal((await link.run([command("GET", "key")]))[0]).code).toBe("NOAUTH");
    forgets = false;
    expect(String((await link.run([command("GET", "key")], patiently))[0])).toBe("1");
    expect(connections).toBe(2);
    await link.close();
  });
});
