import { chmodSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { build, type Plugin } from "esbuild";

/** dist/cli/main.js and what it loads late: the program with its dependencies inside; the library stays outside, in dist/esm. */
export async function bundleCli(root: string, outdir: string): Promise<void> {
  const { metafile } = await build({
    entryPoints: ["src/cli/main.ts"],
    absWorkingDir: root,
    outdir,
    bundle: true,
    // What is loaded late, and only by some commands, is in files of its own.
    splitting: true,
    chunkNames: "[name]-[hash]",
    platform: "node",
    target: "node20.19",
    format: "esm",
    charset: "utf8",
    metafile: true,
    legalComments: "none",
    logLevel: "warning",
    // What is bundled is CommonJS in part, and calls require() for Node's own modules.
    banner: { js: 'import { createRequire } from "node:module";\nconst require = createRequire(import.meta.url);' },
    plugins: [libraryOutside(root)],
  });
  writeFileSync(join(outdir, "NOTICES.txt"), notices(root, Object.keys(metafile.inputs)));
  chmodSync(join(outdir, "main.js"), 0o755);
}

/** `../inspector.js` as seen from src/cli is `../esm/inspector.js` as seen from dist/cli/main.js. */
function libraryOutside(root: string): Plugin {
  return {
    name: "library-outside",
    setup(bundler) {
      bundler.onResolve({ filter: /^\./ }, ({ path, resolveDir }) => {
        const fromSource = relative(join(root, "src"), join(resolveDir, path)).replaceAll("\\", "/");
        if (fromSource.startsWith("..") || fromSource.startsWith("cli/")) return undefined;
        return { path: `../esm/${fromSource}`, external: true };
      });
    },
  };
}

/** The licences of all packages that went into the bundle, as they ask for. */
function notices(root: string, inputs: string[]): string {
  const folders = new Set(inputs.flatMap((input) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(input) ?? []));
  const parts = [...folders].toSorted().map((folder) => {
    const { name, version, license } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((entry) => /^licen[cs]e/i.test(entry));
    if (file === undefined)
      throw new Error(`${name} goes into the command line program, but has no licence file to ship`);
    return `${name} ${version} (${license})\n\n${readFileSync(join(root, folder, file), "utf8").trim()}\n`;
  });
  return `dist/cli/main.js contains these packages:\n\n${parts.join(`\n${"-".repeat(80)}\n\n`)}`;
}
