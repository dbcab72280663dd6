import { setTimeout as sleep } from "node:timers/promises";
import { keysOf } from "../../../../src/redis/keys.js";
import { slotOf } from "../../../../src/redis/slots.js";
import { until } from "../../../support/until.js";
import { noPauseOver } from "../besides.js";
import { lacksHosts } from "../network.js";
import type { Row } from "../row.js";
import type { Scene } from "../scene.js";

const unreplicated = "what the old master had not passed on is gone";

const promoted = ({ sentinels }: Scene) =>
  until("the replica is the master", async () => (await sentinels.replica.admin.role())[0] === "master", 30_000);

/** Those that watch one set of data, a master and its replica, and whom they make the master. */
export const sentinelRows: readonly Row[] = [
  {
    row: 33,
    name: "Sentinel: master killed with -9",
    stage: "sentinel",
    holdMs: 0,
    loses: unreplicated,
    alwaysLoses: true,
    // The Sentinels notice after 1.5 s.
    holds: noPauseOver(5_500),
    async inject(scene) {
      const { master, replica } = scene.sentinels;
      await scene.promiseWithout(replica, master);
      await master.kill();
      replica.thaw();
      await promoted(scene);
      scene.forgets("failover");
    },
  },
  {
    row: 34,
    name: "Sentinel: master frozen for 9 s",
    stage: "sentinel",
    holdMs: 0,
    loses: unreplicated,
    alwaysLoses: true,
    holds: noPauseOver(7_000),
    async inject(scene) {
      const { master, replica } = scene.sentinels;
      await scene.promiseWithout(replica, master);
      master.freeze();
      replica.thaw();
      await sleep(9_000);
      await promoted(scene);
      scene.forgets("failover");
      master.thaw();
    },
  },
  {
    row: 35,
    name: "Sentinel: failover of a healthy master",
    stage: "sentinel",
    holdMs: 0,
    loses: unreplicated,
    alwaysLoses: true,
    async inject(scene) {
      await scene.sentinels.sentinels[0]!.admin.call("SENTINEL", "FAILOVER", "tasks");
      await promoted(scene);
      scene.forgets("failover");
      // Until the old one hears of it, it takes what it is about to forget.
      const { master } = scene.sentinels;
      await until("the old master follows", async () => (await master.admin.role())[0] === "slave", 60_000);
      scene.forgets("the old master was told");
    },
  },
  {
    row: 36,
    name: "split brain for 12 s",
    stage: "hosts",
    lacks: lacksHosts,
    holdMs: 0,
    recoverMs: 20_000,
    loses: "what the old master took while the others had another one is gone",
    alwaysLoses: true,
    async inject(scene) {
      const { hosts } = scene;
      scene.forgets("the first host is cut off");
      hosts.network.part();
      scene.undo.push(() => hosts.network.join());
      await sleep(12_000);
      scene.forgets("it is about to come back");
    },
    async heal(scene) {
      const { admins } = scene.hosts;
      await until("the old master follows", async () => (await admins[0]!.role())[0] === "slave", 60_000);
      scene.forgets("the old master was told");
    },
  },
  {
    row: 37,
    name: "only one of three Sentinels within reach",
    stage: "hosts",
    lacks: lacksHosts,
    holdMs: 4_000,
    async inject(scene) {
      scene.undo.push(() => scene.hosts.network.show());
      await scene.hosts.hide();
    },
  },
  {
    row: 60,
    name: "the master's name moves to its replica",
    stage: "named",
    lacks: lacksHosts,
    holdMs: 500,
    loses: unreplicated,
    alwaysLoses: true,
    async inject(scene) {
      const { master, replica } = scene.named;
      await scene.promiseWithout(replica, master);
      scene.forgets("another server has the name");
      // It hears that it is the master before it can follow again.
      const moved = scene.named.move();
      replica.thaw();
      await moved;
    },
  },
  {
    row: 38,
    name: "Sentinel: two Sentinels killed",
    stage: "sentinel",
    holdMs: 4_000,
    async inject({ sentinels: { sentinels } }) {
      await Promise.all(sentinels.slice(1).map((sentinel) => sentinel.kill()));
    },
    async heal({ sentinels: { sentinels } }) {
      await Promise.all(sentinels.slice(1).map((sentinel) => sentinel.start()));
    },
  },
];

const key = keysOf("default").asynq;

export const clusterRows: readonly Row[] = [
  {
    row: 39,
    name: "Cluster: a master killed with -9",
    stage: "cluster",
    holdMs: 0,
    loses: unreplicated,
    alwaysLoses: true,
    // Nodes give each other up after 2 s.
    holds: noPauseOver(5_000),
    async inject(scene) {
      const { cluster, replica } = scene;
      await scene.promiseWithout(replica, cluster.masterOf(key));
      await cluster.masterOf(key).kill();
      replica.thaw();
      const { admin } = replica;
      await until("its replica is the master", async () => (await admin.role())[0] === "master", 30_000);
      scene.forgets("failover");
    },
  },
  {
    row: 40,
    name: "Cluster: failover of a healthy master",
    stage: "cluster",
    holdMs: 500,
    inject: ({ cluster, replica }) => cluster.promote(replica),
  },
  {
    row: 42,
    name: "Cluster: nobody has a queue's slot",
    stage: "cluster",
    holdMs: 2_000,
    async inject({ cluster, replica }) {
      for (const { admin } of [cluster.masterOf(key), ...cluster.masters, replica])
        // The others hear of the slot from whoever has it, so that one goes first; the second time it has none.
        await admin.cluster("DELSLOTS", slotOf(key)).catch(() => undefined);
    },
    heal: async ({ cluster }) => void (await cluster.admin(key).cluster("ADDSLOTS", slotOf(key))),
  },
  {
    row: 41,
    name: "Cluster: a slot moves",
    stage: "cluster",
    holdMs: 500,
    async inject({ cluster }) {
      const to = cluster.masters.find((master) => master !== cluster.masterOf(key))!;
      await cluster.beginMove(key, to);
      while ((await cluster.moveKeys(key, to, 10)) > 0) await sleep(20);
      await cluster.endMove(key, to);
    },
  },
  {
    row: 43,
    name: "Cluster: a minority is cut off for 12 s",
    stage: "clusterHosts",
    lacks: lacksHosts,
    holdMs: 0,
    recoverMs: 20_000,
    loses: "what the old master took until it noticed is gone",
    alwaysLoses: true,
    async inject(scene) {
      const { network } = scene.clusterHosts;
      scene.forgets("the first host is cut off");
      network.part();
      scene.undo.push(() => network.join());
      await scene.promise();
      await sleep(12_000);
      scene.forgets("it is about to come back");
    },
    async heal(scene) {
      const [old] = scene.clusterHosts.masters;
      await until("the old master follows", async () => (await old!.role())[0] === "slave", 60_000);
      scene.forgets("the old master was told");
    },
  },
];
