import { describe, expect, it } from "vitest";
import { fileSystemBy } from "./file-system.js";

const fuse = 0x65735546;
/** What statfs tells, and as what the kernel has it mounted. */
const kindOf = (type: number, mounted?: string) => fileSystemBy(type, () => mounted).kind;

// The numbers are linux/magic.h's: https://github.com/torvalds/linux/blob/master/include/uapi/linux/magic.h
describe("a file system", () => {
  it.each([
    ["NFS", 0x6969],
    ["CIFS", 0xff534d42],
    ["SMB", 0xfe534d42],
    ["9P", 0x01021997],
    ["Ceph", 0x00c36400],
  ])("is a network's: %s", (name, type) => {
    expect(fileSystemBy(type, () => undefined)).toEqual({ kind: "network", name });
  });

  it.each(["fuse.sshfs", "fuse.s3fs", "fuse.mount-s3", "fuse.glusterfs", "fuse.ceph-fuse", "fuse.rclone"])(
    "is a network's, though a program of this machine serves it: %s",
    (name) => {
      expect(fileSystemBy(fuse, () => name)).toEqual({ kind: "network", name });
    },
  );

  it("is local, or doubtful where what it confirms may not last", () => {
    const [ext4, xfs, tmpfs, overlay] = [0xef53, 0x58465342, 0x01021994, 0x794c7630];
    expect([kindOf(ext4), kindOf(xfs), kindOf(fuse, "fuseblk")]).toEqual(["local", "local", "local"]);
    expect([kindOf(tmpfs), kindOf(overlay), kindOf(fuse, "fuse.mine")]).toEqual(["doubtful", "doubtful", "doubtful"]);
    expect(kindOf(fuse)).toBe("doubtful"); // Nothing says as what it is mounted.
  });
});
