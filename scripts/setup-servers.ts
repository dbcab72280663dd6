import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";

/**
 * Finds redis-server for the tests; on Debian and Ubuntu, as root, installs it from the distribution. The tests start
 * their own on free ports, never touch one that runs already, and are skipped where there is none. Answers what a person without it reads.
 */
export function setupServers(): string | undefined {
  if (version() === undefined && process.getuid?.() === 0 && existsSync("/usr/bin/apt-get")) install();
  const found = version();
  if (found === undefined) return `No redis-server on the PATH: tests that need one are skipped. ${advice()}`;
  console.log(found);
  return undefined;
}

function version(): string | undefined {
  const { status, stdout } = spawnSync("redis-server", ["--version"], { encoding: "utf8" });
  return status === 0 ? stdout.trim() : undefined;
}

function install(): void {
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
  console.log("Installing redis-server from the distribution's packages");
  for (const args of [
    ["update", "-qq"],
    ["install", "-y", "-qq", "--no-install-recommends", "redis-server"],
  ]) {
    spawnSync("apt-get", args, { env, stdio: ["ignore", "ignore", "inherit"] });
  }
}

function advice(): string {
  if (process.platform === "darwin") return "To run them: brew install redis";
  if (process.platform === "win32") return "To run them: use WSL with Ubuntu, and there apt-get install redis-server";
  return "To run them: install your distribution's redis-server (Debian and Ubuntu: apt-get install redis-server)";
}
