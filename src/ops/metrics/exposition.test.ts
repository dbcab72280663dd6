import { expect, it } from "vitest";
import { exposition } from "./exposition.js";

it("writes Prometheus's text, whatever a label holds", () => {
  const text = exposition([
    { name: "a_total", type: "counter", help: "A.\nB \\", samples: [{ labels: { q: 'x"\\\n\ud800' }, value: 1.5 }] },
    { name: "b", type: "gauge", help: "B.", samples: [{ labels: {}, value: Number.POSITIVE_INFINITY }] },
    { name: "c", type: "gauge", help: "Nothing.", samples: [] },
  ]);

  expect(text).toBe(
    '# HELP a_total A.\\nB \\\\\n# TYPE a_total counter\na_total{q="x\\"\\\\\\n\ufffd"} 1.5\n' +
      "# HELP b B.\n# TYPE b gauge\nb +Inf\n",
  );
});
