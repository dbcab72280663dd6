/** A Lua script as scripts.gen.ts has it. */
export interface Script {
  readonly name: string;
  readonly text: string;
  readonly sha1: string;
}
