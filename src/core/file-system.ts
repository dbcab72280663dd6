import { readFileSync, statfsSync } from "node:fs";

/** What is known of the file system that a directory is on. */
export type FileSystem =
  | { readonly kind: "local" }
  /** Its locks or its fsync are another machine's, and not to be relied upon. */
  | { readonly kind: "network"; readonly name: string }
  /** It works, with a reservation. */
  | { readonly kind: "doubtful"; readonly name: string; readonly problem: string };

/** By the numbers of linux/magic.h; other systems have others, which are taken for local ones. */
const networks: Readonly<Record<number, string>> = {
  0x6969: "NFS",
  0x517b: "SMB",
  0xff534d42: "CIFS",
  0xfe534d42: "SMB",
  0x01021997: "9P",
  0x5346414f: "AFS",
  0x6b414653: "AFS",
  0x00c36400: "Ceph",
  0x73757245: "Coda",
  0x564c: "NCP",
  0x0bd00bd0: "Lustre",
  0x47504653: "GPFS",
};
const memories: Readonly<Record<number, string>> = { 0x01021994: "tmpfs", 0x858458f6: "ramfs" };
const overlay = 0x794c7630;
const fuse = 0x65735546;
const localFuse = new Set(["fuseblk", "fuse.ntfs-3g", "fuse.fuse-overlayfs", "virtiofs"]);
const networkFuse =
  /^fuse\.(sshfs|s3fs|gcsfuse|rclone|goofys|mount-s3|mountpoint-s3|blobfuse2?|juicefs|glusterfs|ceph(-fuse)?|curlftpfs|davfs2?|smbnetfs|gvfsd-fuse|seaweedfs|.*hdfs.*)$/;

export function fileSystemOf(directory: string): FileSystem {
  return fileSystemBy(statfsSync(directory).type >>> 0, () => mountedAs(directory));
}

/** `mounted` answers the name by which /proc/self/mountinfo knows it, if there is one. */
export function fileSystemBy(type: number, mounted: () => string | undefined): FileSystem {
  const network = networks[type];
  if (network !== undefined) return { kind: "network", name: network };
  const memory = memories[type];
  if (memory !== undefined) {
    return {
      kind: "doubtful",
      name: memory,
      problem: "it is memory: a power cut or a restart of the machine takes it",
    };
  }
  if (type === overlay) {
    return {
      kind: "doubtful",
      name: "overlay",
      problem: "a container's own layer goes with the container: use a volume",
    };
  }
  if (type !== fuse) return { kind: "local" };
  const name = mounted() ?? "FUSE";
  if (localFuse.has(name)) return { kind: "local" };
  if (networkFuse.test(name)) return { kind: "network", name };
  return { kind: "doubtful", name, problem: "whether it keeps what it confirms is not known" };
}

/** The type of the mount that is nearest to this path. */
function mountedAs(path: string): string | undefined {
  let lines: string[];
  try {
    lines = readFileSync("/proc/self/mountinfo", "utf8").split("\n");
  } catch {
    return undefined; // Not Linux.
  }
  let nearest: { readonly point: string; readonly type: string } | undefined;
  for (const line of lines) {
    const [before, after] = line.split(" - ");
    const point = before
      ?.split(" ")[4]
      ?.replaceAll(/\\(\d{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal as string, 8)));
    const type = after?.split(" ")[0];
    if (point === undefined || type === undefined) continue;
    const above = point === "/" || path === point || path.startsWith(`${point}/`);
    if (above && (nearest === undefined || point.length >= nearest.point.length)) nearest = { point, type };
  }
  return nearest?.type;
}
