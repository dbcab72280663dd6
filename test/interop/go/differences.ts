/** What one of the two writes or leaves behind, and the other does not, with the reason: each is a rule, and each is used. */
export interface Difference {
  readonly title: string;
  readonly why: string;
  /** Operations, by name; default: all. */
  readonly in?: RegExp;
  readonly asynq?: RegExp;
  readonly holdfast?: RegExp;
}

export const differences: readonly Difference[] = [
  {
    title: "Keys and fields of our own",
    why: "Who holds a lease, what a lease request got, crashes, returns, the last failure, who paused a queue and who did what: `holdfast:…` keys and `hf_…` fields, which asynq neither reads nor writes. Some are taken away where they might be, without looking first.",
    holdfast: /holdfast:|hf_/,
  },
  {
    title: "Since when a task waits",
    why: "asynq does not say so of tasks that come to pending by hand or are given back, and then shows a latency of 0. Holdfast says it of each: latencies are right, in asynq's tools as well.",
    in: /^run(,| all,)|given back/,
    holdfast: /pending_since/,
  },
  {
    title: "A lock is set only for a task that is put in",
    why: "asynq sets the lock first. Of a duplicate that changes nothing; but where the id is taken, it leaves a lock that nobody will release, for as long as it lasts. Holdfast looks at lock and id, then writes.",
    in: /duplicate|id that is taken/,
    asynq: /unique:/,
    holdfast: /^write: set asynq:\{q\}:t:a msg$/,
  },
  {
    title: "A crash uses up no retry",
    why: "asynq counts a worker's death as a failure of the task: a retry less, the delay before it, and a dead letter where no retry is left. Holdfast puts the task back to the front of pending, with the crash counted in a field of its own; at the third one it is quarantined.",
    in: /^reclaim/,
    asynq: /retry|archived|processed|failed|t:a/,
    holdfast: /pending|t:a/,
  },
  {
    title: "All of a state, in bounded steps",
    why: "asynq takes all of them in one script, however many there are, and deletes the key. Holdfast takes at most 500 a step, and takes out those: the key goes with its last entry.",
    in: / all, /,
    asynq: /^write: delete asynq:\{q\}:(pending|scheduled|retry|archived|completed|g:g)$/,
    holdfast: /^write: remove [ab] from asynq:\{q\}:(pending|scheduled|retry|archived|completed|g:g)$/,
  },
  {
    title: "A stray lease goes with its task",
    why: "An id in pending may have a lease, where another program left it in two places: what is taken out of pending by hand leaves none behind.",
    in: /^(archive|delete), (pending|unique)/,
    holdfast: /^write: remove a from asynq:\{q\}:lease$/,
  },
  {
    title: "Ids leave a line in one walk",
    why: "Those that are taken out of pending by hand are overwritten first and then removed together, within one script: a long line is walked once, not once for each.",
    in: /^(archive|delete), (pending|unique)/,
    holdfast: /^write: overwrite a in asynq:\{q\}:pending$/,
  },
  {
    title: "The archive is never trimmed by deleting",
    why: "asynq takes out what is beyond its bounds with each act of archiving, and leaves their hashes without a set. Holdfast moves what is beyond its own, smaller bounds to a set of its own, and here there is nothing to move (docs/decisions, 11).",
    in: /^archive/,
    asynq: /^write: remove by (time|rank) from asynq:\{q\}:archived$/,
  },
  {
    title: "Deleting releases the lock",
    why: "asynq keeps the lock of a pending task when all are deleted: nobody can enqueue it again before the lock is over.",
    in: /^delete all, pending, unique/,
    asynq: /unique:/,
    holdfast: /unique:/,
  },
  {
    title: "The lock goes with the payload",
    why: "asynq leaves the lock of the old payload, so that a second task with the new one is accepted, and one with the old one is not.",
    in: /^another payload/,
    asynq: /unique|state/,
    holdfast: /unique/,
  },
  {
    title: "A dropped queue takes its completed tasks and groups along",
    why: "asynq deletes what waits and what is archived. Completed tasks and those in groups stay, and are there when a queue of that name comes again. Holdfast deletes them with the others.",
    in: /^drop/,
    asynq: /^left: asynq:\{q\}:(completed|groups|g:g|t:[cf]) /,
    holdfast: /^write: (remove [cf] from asynq:\{q\}:(completed|g:g)|delete asynq:\{q\}:(groups|t:[cf]))$/,
  },
  {
    title: "A dropped queue takes its locks along",
    why: "asynq leaves the lock of a task that it has deleted: nobody can enqueue it again before the lock is over.",
    in: /^drop/,
    asynq: /^left: asynq:\{q\}:unique:/,
    holdfast: /^write: delete asynq:\{q\}:unique:/,
  },
  {
    title: "A dropped queue takes its counters along",
    why: "asynq leaves what was counted, so that a queue of the same name begins with it.",
    in: /^drop/,
    asynq: /^left: asynq:\{q\}:(processed|failed)(:<day> expires)? =/,
    holdfast: /^write: delete asynq:\{q\}:(processed|failed)(:<day>)?$/,
  },
  {
    title: "A queue is dropped bit by bit",
    why: "asynq takes whatever there is in one script, and deletes the keys. Holdfast takes at most 500 tasks a step: a list is gone with its last entry, and those that hold nothing need not be deleted. Meanwhile the queue is paused.",
    in: /^drop/,
    asynq: /^write: delete asynq:\{q\}:(active|archived|lease|pending|retry|scheduled)$/,
    holdfast:
      /^write: (remove [a-e] from asynq:\{q\}:(pending|retry|scheduled)|(set|delete) asynq:\{q\}:paused( to now)?)$/,
  },
  {
    title: "A dropped task is deleted once",
    why: "asynq deletes each task that is not active twice, in two loops over the same ids. Once is enough.",
    in: /^drop/,
    asynq: /^write: delete asynq:\{q\}:t:[abde]$/,
  },
  {
    title: "A set of leases is kept as a table",
    why: "Redis keeps a small sorted set as a list that it walks for each entry: ten times the work at a hundred leases. One long member makes a table of it, and is taken out within the same script: nobody else sees it.",
    in: /^(run: |a server's beat)/,
    holdfast: /^write: (add|remove) -{65} (to|from) asynq:\{q\}:lease/,
  },
  {
    title: "A lease is taken out and put in anew",
    why: "asynq changes the score of what is there, whoever holds it by now. Holdfast looks first whether the lease is still its own; then it takes the lease out and puts it in, in one script, because a server whose memory is full refuses a script whose first write may grow.",
    in: /^a server's beat/,
    asynq: /^write: renew a in asynq:\{q\}:lease/,
    holdfast: /^write: (remove a from|add a to) asynq:\{q\}:lease/,
  },
  {
    title: "Servers that are gone leave the sets with the next beat of another",
    why: "asynq takes them out when somebody lists the servers. In Holdfast each beat takes out those that have been over for a minute: a set does not grow with workers that died while nobody looked.",
    in: /^a server('s|) /,
    holdfast: /^write: remove by time from asynq:(servers|workers)$/,
  },
  {
    title: "What a server does not run, does not expire",
    why: "asynq sets an expiry for the tasks it runs also where it runs none, and there is no key. That does nothing.",
    in: /^a server comes/,
    asynq: /^write: expire asynq:workers:/,
  },
];
