import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from "node:crypto";
import { invalidOption } from "../../core/errors.js";

/** What a sealer signs with: nobody else has it. */
export interface SealingKey {
  /** 16 hex digits, by which a record says who signed it. */
  readonly id: string;
  readonly key: KeyObject;
}

/** By their ids. */
export type CheckingKeys = ReadonlyMap<string, KeyObject>;

/** @param pem an Ed25519 private key, as `openssl genpkey -algorithm ed25519` writes it @throws OPTION_INVALID */
export function sealingKey(pem: string | Uint8Array): SealingKey {
  const key = ed25519(() => createPrivateKey(Buffer.from(pem)), "a private key");
  return { id: idOf(createPublicKey(key)), key };
}

/** @param pems public keys; of a private one its public half is taken @throws OPTION_INVALID */
export function checkingKeys(pems: readonly (string | Uint8Array)[]): CheckingKeys {
  const keys = pems.map((pem) => ed25519(() => createPublicKey(Buffer.from(pem)), "a public key"));
  return new Map(keys.map((key) => [idOf(key), key]));
}

/** A new pair, as PEM. */
export function newKeyPair(): { readonly privateKey: string; readonly publicKey: string } {
  return generateKeyPairSync("ed25519", {
    privateKeyEncoding: { type: "pkcs8", format: "pem" },
    publicKeyEncoding: { type: "spki", format: "pem" },
  });
}

/** What OpenSSL has to say of a broken key may quote it. */
function ed25519(read: () => KeyObject, what: string): KeyObject {
  let key: KeyObject | undefined;
  try {
    key = read();
  } catch {
    // Told below.
  }
  if (key?.asymmetricKeyType === "ed25519") return key;
  throw invalidOption("key", `must be ${what} for Ed25519, as PEM: holdfast audit keygen makes one`);
}

const idOf = (key: KeyObject) =>
  createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("hex")
    .slice(0, 16);
