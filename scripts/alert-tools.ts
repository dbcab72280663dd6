import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Prometheus, judges of what is written for it and Alertmanager, and the packages that have them on Debian and Ubuntu. */
const packages = { promtool: "prometheus", prometheus: "prometheus", amtool: "prometheus-alertmanager" } as const;
export type AlertTool = keyof typeof packages;
const tools = Object.keys(packages) as AlertTool[];

const folder = join(import.meta.dirname, "../.cache/alert-tools");

/** How to start it; undefined where there is none. */
export function alertTool(name: AlertTool): string | undefined {
  return [name, join(folder, name)].find((program) => spawnSync(program, ["--version"]).status === 0);
}

/**
 * Finds them; on Debian and Ubuntu takes them out of the distribution's packages (30 MB are fetched, 117 MB kept; only
 * what refreshes apt's lists needs root). These are not installed: they would start services that listen.
 */
export function setupAlertTools(): string | undefined {
  const before = missing();
  const canTry = before.length > 0 && existsSync("/usr/bin/apt-get");
  const fetched = !canTry || takeOut(before);
  const absent = missing();
  if (absent.length === 0) return undefined;
  const why = fetched ? "" : "APT COULD NOT BE REACHED, or does not know their packages: its words are above. ";
  const wanted = packagesOf(absent).join(" ");
  return (
    `No ${absent.join(" and no ")}: tests that need one are skipped. ` +
    `${why}To run them: install your distribution's packages (Debian and Ubuntu: ${wanted})`
  );
}

const packagesOf = (names: readonly AlertTool[]) => [...new Set(names.map((name) => packages[name]))];
const missing = () => tools.filter((name) => alertTool(name) === undefined);

/** False where the packages could not be fetched. */
function takeOut(wanted: readonly AlertTool[]): boolean {
  console.log(`Taking ${wanted.join(" and ")} out of the distribution's packages`);
  const at = mkdtempSync(join(tmpdir(), "holdfast-packages-"));
  try {
    const fetched = packagesOf(wanted);
    if (!download(fetched, at) && !(apt(["update", "-qq"], at) && download(fetched, at))) return false;
    mkdirSync(folder, { recursive: true });
    for (const name of wanted) {
      const file = readdirSync(at).find((one) => one.startsWith(`${packages[name]}_`));
      const pipe = 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --strip-components=3 "./usr/bin/$3"';
      if (file !== undefined) spawnSync("sh", ["-c", pipe, "sh", join(at, file), folder, name], { stdio: "inherit" });
    }
    return true;
  } finally {
    rmSync(at, { recursive: true, force: true });
  }
}

const download = (names: readonly string[], at: string) =>
  apt(["-o", "APT::Sandbox::User=root", "-qq", "download", ...names], at);

function apt(args: readonly string[], cwd: string): boolean {
  // Where there is no way out, that is to be known soon.
  const soon = ["-o", "Acquire::http::Timeout=20", "-o", "Acquire::Retries=0"];
  return spawnSync("apt-get", [...soon, ...args], { cwd, stdio: ["ignore", "ignore", "inherit"] }).status === 0;
}
