import { DisciplinedClock } from "../core/clock.js";
import { type Duration, toMs } from "../core/duration.js";
import { EmbeddedBroker } from "../embedded/embedded-broker.js";

/** A clock that a test can put forward; otherwise it runs as usual. */
export class TestClock extends DisciplinedClock {
  #aheadMs = 0;

  override nowMs(): number {
    return super.nowMs() + this.#aheadMs;
  }

  /**
   * Put the clock forward, and on to the next whole second, for that is what storage keeps: what is scheduled within
   * that time is due now. @throws OPTION_INVALID
   */
  advance(duration: Duration): void {
    this.#aheadMs += toMs(duration, "advance");
    this.#aheadMs += 1_000 - (this.nowMs() % 1_000);
  }
}

export class TestBroker extends EmbeddedBroker {
  override readonly clock = new TestClock();
}

/**
 * A broker of one's own in memory, with a clock that can be put forward.
 *
 * @example
 * await using broker = testBroker();
 * await new Client(broker).enqueue(report({ day: "2026-01-01" }, { processIn: "24h" }));
 * broker.clock.advance("24h");
 * const { completed } = await new Worker(broker).handle(report, buildReport).drain();
 */
export function testBroker(): TestBroker {
  return new TestBroker(":memory:");
}
