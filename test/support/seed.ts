/**
 * What random choices of a test are made from. The same in every run, so that what breaks a test is a change of the code;
 * `SEED=random npm test` looks further, and each test says the seed it had.
 */
export const seed =
  process.env["SEED"] === "random" ? Math.floor(Math.random() * 2 ** 30) : Number(process.env["SEED"] ?? 1);
