/** `npm run chaos`: one row after the other, or with `--soak` all at once and for long. */
await(process.argv.includes("--soak") ? import("./soak/main.js") : import("./harness/main.js"));
