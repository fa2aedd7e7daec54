// The EM playground: points and a mixture on a canvas, EM one step at a time. The arithmetic is
// in playground_em.js. Plain JavaScript: nothing is loaded from anywhere.
(() => {
  "use strict";

  const EM = playgroundEM;
  const root = document.getElementById("playground");
  // The colours of gmmlearn/plots.py.
  const COLORS = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#F0E442", "#7F7F7F"];
  const INK = "#2B2B2B", ACCENT = "#D55E00";
  const [X_MAX, Y_MAX] = [6, 4.5]; // the window is [-6, 6] x [-4.5, 4.5]
  const MAX_COMPONENTS = 10, MAX_HISTORY = 1000;
  const STILL = 1e-9; // a run stops when the bound changes by less, nats per point
  const color = (k) => COLORS[k % COLORS.length];

  // ---------------------------------------------------------------- data sets

  const around = (centres, std) => (n, rng) => [...Array(n)].map(() => {
    const [x, y] = centres[rng.integer(centres.length)];
    return [x + std * rng.normal(), y + std * rng.normal()];
  });
  const circle = [...Array(8)].map((_, i) =>
    [3 * Math.cos((i * Math.PI) / 4), 3 * Math.sin((i * Math.PI) / 4)]);
  const lattice = [-2.5, 0, 2.5].flatMap((x) => [-2.5, 0, 2.5].map((y) => [x, y]));

  const DATA = {
    blobs: ["three blobs", (n, rng) => [...Array(n)].map(() => { // chapters 2 to 4
      const u = rng.uniform(), k = u < 0.5 ? 0 : u < 0.8 ? 1 : 2;
      const mean = [[-2, 0], [2, 1.5], [1.5, -2]][k];
      const [a, b, c] = EM.cholesky([[1, 0.8, 1.5], [0.8, -0.5, 0.6], [1.5, 0, 0.2]][k], k);
      const z = rng.normal();
      return [mean[0] + a * z, mean[1] + b * z + c * rng.normal()];
    })],
    ring: ["ring of eight groups", around(circle, 0.25)],
    grid: ["grid of nine groups", around(lattice, 0.25)],
    spiral: ["spiral", (n, rng) => [...Array(n)].map(() => {
      const t = Math.sqrt(0.05 + 0.95 * rng.uniform()), angle = 3 * Math.PI * t;
      return [4 * t * Math.cos(angle) + 0.15 * rng.normal(),
        4 * t * Math.sin(angle) + 0.15 * rng.normal()];
    })],
    crescents: ["two crescents", (n, rng) => [...Array(n)].map(() => {
      const upper = rng.uniform() < 0.5, angle = Math.PI * rng.uniform();
      const [x, y] = [2.4 * Math.cos(angle), 2.4 * Math.sin(angle)];
      return [(upper ? x - 1.2 : x + 1.2) + 0.2 * rng.normal(),
        (upper ? y - 0.6 : 0.6 - y) + 0.2 * rng.normal()];
    })],
    nested: ["small group inside a large one", (n, rng) => [...Array(n)].map(() => {
      const std = rng.uniform() < 0.3 ? 0.2 : 1.8;
      return [std * rng.normal(), std * rng.normal()];
    })],
    empty: ["empty", () => []],
  };

  // ---------------------------------------------------------------- the page's parts

  const options = (pairs, chosen) => pairs.map(([value, text]) =>
    `<option value="${value}"${String(value) === chosen ? " selected" : ""}>${text}</option>`)
    .join("");
  const select = (id, label, pairs, chosen) =>
    `<label for="pg-${id}">${label}<select id="pg-${id}">${options(pairs, chosen)}</select></label>`;
  const same = (values) => values.map((value) => [value, value]);

  root.innerHTML = `
    <div>
      <canvas id="pg-canvas" tabindex="0" role="application"
        aria-label="Points and mixture. Arrow keys move the cross, Enter adds a point,
          Delete removes the nearest, M moves the nearest point or mean."
        aria-describedby="pg-status"></canvas>
      <p class="status" id="pg-status" role="status" aria-live="polite"></p>
      <svg id="pg-bound" viewBox="0 0 300 120" role="img"
        aria-label="The bound, no E-step yet"></svg>
    </div>
    <div class="controls">
      ${select("data", "Points", Object.entries(DATA).map(([name, [text]]) => [name, text]), "blobs")}
      ${select("size", "How many", same([60, 240, 1000]), "240")}
      ${select("k", "Components", same([...Array(MAX_COMPONENTS)].map((_, i) => i + 1)), "3")}
      ${select("structure", "Covariances", [["full", "full"], ["tied", "tied (shared)"],
        ["diag", "diagonal"], ["spherical", "spherical"]], "full")}
      ${select("start", "Start", [["spread", "k-means++"], ["random", "random points"],
        ["point", "on one point"]], "random")}
      ${select("reg", "Regularisation", same(["0", "1e-6", "1e-3", "0.01", "0.1"]), "1e-6")}
      <button type="button" id="pg-redraw">New points</button>
      <button type="button" id="pg-restart">New start</button>
      <div class="steps wide">
        <button type="button" id="pg-e">E-step</button>
        <button type="button" id="pg-m">M-step</button>
        <button type="button" id="pg-em">EM step</button>
        <button type="button" id="pg-run" aria-pressed="false">Run</button>
        <button type="button" id="pg-back">Back</button>
        <button type="button" id="pg-first">To start</button>
      </div>
      <fieldset class="wide"><legend>A tap or click</legend><div class="choices">
        <label><input type="radio" name="pg-tool" value="add" checked> adds and drags</label>
        <label><input type="radio" name="pg-tool" value="delete"> deletes</label>
      </div></fieldset>
      <fieldset class="wide"><legend>Show</legend><div class="choices">
        <label><input type="checkbox" id="pg-ellipses" checked> ellipses</label>
        <label><input type="checkbox" id="pg-contours" checked> density</label>
      </div></fieldset>
      <table class="wide"><caption class="visually-hidden">The components now</caption>
        <thead><tr><th scope="col">no.</th><th scope="col">weight</th>
          <th scope="col">mean</th><th scope="col">std, two axes</th></tr></thead>
        <tbody id="pg-table"></tbody></table>
    </div>`;
  const part = (id) => document.getElementById(`pg-${id}`);
  const canvas = part("canvas"), pen = canvas.getContext("2d");
  const chosen = (id) => part(id).value;

  // ---------------------------------------------------------------- state

  let points = [], seed = 1, startSeed = 1;
  let mixture = null, resp = null, tint = null, bounds = [], fault = null, history = [];
  // `tint` is the last E-step's responsibilities, which colour the points until the next one.
  let running = 0, cross = [0, 0], held = null;

  const regularisation = () => Number(chosen("reg"));
  const snapshot = () => ({ mixture, resp, tint, bounds, fault });

  function remember() {
    history.push(snapshot());
    if (history.length > MAX_HISTORY) history.shift();
  }

  function newPoints() {
    points = DATA[chosen("data")][1](Number(chosen("size")), EM.generator(seed))
      .map(([x, y]) => [clamp(x, X_MAX), clamp(y, Y_MAX)]);
    newStart();
  }

  function newStart() {
    stop();
    [mixture, resp, tint, bounds, fault, history] = [null, null, null, [], null, []];
    const K = Number(chosen("k")), different = new Set(points.map(String)).size;
    if (different < K) {
      say(`Put down at least ${K} different points for ${K} components; ${count(different)} so far.`);
    } else {
      const rng = EM.generator(startSeed), kind = chosen("start");
      mixture = EM.start(points, K, kind === "spread", chosen("structure"),
        Math.max(regularisation(), 1e-6), rng);
      if (kind === "point") {
        // A component as narrow as this hardly sees any point but its own.
        const means = [...mixture.means], covariances = [...mixture.covariances];
        means[0] = points[rng.integer(points.length)];
        covariances[0] = [1e-3, 0, 1e-3];
        mixture = { ...mixture, means, covariances };
      }
      say("A start. Press E-step: which component does each point belong to?");
    }
    draw();
  }

  // What was computed from the points or parameters as they were no longer holds.
  function changed() {
    stop();
    [resp, tint, bounds, fault, history] = [null, null, [], null, []];
    if (!mixture) newStart();
  }

  function attempt(step) {
    if (!mixture || fault !== null) return false;
    remember();
    try {
      step();
    } catch (error) {
      if (!(error instanceof EM.CollapsedError)) throw error;
      fault = error.component;
      resp = null;
      say(`Component ${fault + 1} has collapsed: all its weight is on one place, its variance is 0
        and the bound has no limit. Choose a regularisation above 0 and press To start.`);
      return false;
    }
    return true;
  }

  function stepE() {
    return attempt(() => {
      const result = EM.eStep(points, mixture);
      resp = tint = result.resp;
      bounds = [...bounds, result.bound];
      say(`E-step: the bound is ${result.bound.toFixed(4)} nats per point.${narrow()}`);
    });
  }

  function stepM() {
    return resp !== null && attempt(() => {
      mixture = EM.mStep(points, resp, mixture, chosen("structure"), regularisation());
      resp = null;
      mixture.covariances.forEach(EM.cholesky); // throws if one is singular
      say(`M-step: the components moved to the points they answer for.${narrow()}`);
    });
  }

  const stepEM = () => (resp !== null || stepE()) && stepM();

  // The component whose shorter axis is far below the spacing of the picture's points.
  function narrow() {
    const k = mixture.covariances.findIndex((covariance) => axes(covariance)[1] < 0.02);
    return k < 0 ? ""
      : ` Component ${k + 1} is only ${axes(mixture.covariances[k])[1].toExponential(0)} wide.`;
  }

  function back() {
    stop();
    if (!history.length) return;
    ({ mixture, resp, tint, bounds, fault } = history.pop());
    say("One step back.");
    draw();
  }

  function run() {
    const before = bounds.at(-1);
    const moved = stepE();
    const still = moved && before !== undefined && Math.abs(bounds.at(-1) - before) < STILL;
    if (!moved || still || !stepM()) {
      stop();
      if (still) say(`The bound has stopped at ${bounds.at(-1).toFixed(4)} nats per point,
        after ${bounds.length} E-steps.`);
    }
    draw();
    if (running) running = requestAnimationFrame(run);
  }

  function start() {
    if (!mixture || fault !== null) return;
    if (resp !== null) stepM();
    part("run").textContent = "Pause";
    part("run").setAttribute("aria-pressed", "true");
    part("status").setAttribute("aria-live", "off"); // no announcement for each frame
    running = requestAnimationFrame(run);
  }

  function stop() {
    if (running) cancelAnimationFrame(running);
    running = 0;
    part("run").textContent = "Run";
    part("run").setAttribute("aria-pressed", "false");
    part("status").setAttribute("aria-live", "polite");
  }

  const count = (n) => `${n} point${n === 1 ? "" : "s"}`;
  function say(text) {
    part("status").textContent = text.replace(/\s+/g, " ");
    part("status").classList.toggle("fault", fault !== null);
  }

  // ---------------------------------------------------------------- the picture

  const clamp = (value, limit) => Math.max(-limit, Math.min(limit, value));
  const toX = (x) => ((x + X_MAX) / (2 * X_MAX)) * canvas.width;
  const toY = (y) => ((Y_MAX - y) / (2 * Y_MAX)) * canvas.height;
  const unit = () => canvas.width / (2 * X_MAX); // pixels for 1

  // Standard deviations along the long and the short axis, and the angle of the long one.
  function axes([xx, xy, yy]) {
    const middle = (xx + yy) / 2, half = Math.hypot((xx - yy) / 2, xy);
    return [Math.sqrt(middle + half), Math.sqrt(Math.max(middle - half, 0)),
      0.5 * Math.atan2(2 * xy, xx - yy)];
  }

  const rgb = COLORS.map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const mix = (row) => `rgb(${[0, 1, 2].map((i) => Math.round(row.reduce(
    (sum, r, k) => sum + r * rgb[k % rgb.length][i], 0))).join(" ")})`;

  function drawPoints(scale) {
    const radius = (points.length > 500 ? 2.2 : 3.2) * scale;
    points.forEach(([x, y], n) => {
      pen.fillStyle = tint ? mix(tint[n]) : INK;
      pen.beginPath();
      pen.arc(toX(x), toY(y), radius, 0, 2 * Math.PI);
      pen.fill();
    });
  }

  function drawEllipses(scale) {
    mixture.covariances.forEach((covariance, k) => {
      const [long, short, angle] = axes(covariance);
      const [x, y] = [toX(mixture.means[k][0]), toY(mixture.means[k][1])];
      for (const std of [1, 2]) {
        pen.strokeStyle = k === fault ? ACCENT : color(k);
        pen.lineWidth = (std === 1 ? 2.4 : 1.4) * scale;
        pen.beginPath();
        pen.ellipse(x, y, std * long * unit(), std * short * unit(), -angle, 0, 2 * Math.PI);
        pen.stroke();
      }
      pen.font = `600 ${13 * scale}px system-ui, sans-serif`;
      pen.textAlign = "center";
      pen.textBaseline = "middle";
      pen.lineWidth = 4 * scale;
      pen.strokeStyle = "#FFFDF8";
      pen.strokeText(k + 1, x, y);
      pen.fillStyle = INK;
      pen.fillText(k + 1, x, y);
    });
  }

  // Marching squares on a coarse grid: lines of equal log density, one nat apart.
  function drawContours(scale) {
    const nx = 64, ny = 48, joint = EM.logJoint(mixture);
    const at = (i, j) => [-X_MAX + (2 * X_MAX * i) / nx, Y_MAX - (2 * Y_MAX * j) / ny];
    const height = [...Array(ny + 1)].map((_, j) =>
      [...Array(nx + 1)].map((_, i) => EM.logSumExp(joint(at(i, j)))));
    const top = Math.max(...height.flat());
    pen.strokeStyle = INK;
    pen.globalAlpha = 0.28;
    pen.lineWidth = scale;
    pen.beginPath();
    for (let level = top - 0.5; level > top - 7; level -= 1) {
      for (let j = 0; j < ny; j++) {
        for (let i = 0; i < nx; i++) {
          const corners = [[i, j], [i + 1, j], [i + 1, j + 1], [i, j + 1]];
          const crossings = [];
          corners.forEach(([a, b], c) => {
            const [p, q] = corners[(c + 1) % 4], h = height[b][a] - level, g = height[q][p] - level;
            if (h > 0 === g > 0) return;
            const t = h / (h - g);
            crossings.push([((a + t * (p - a)) / nx) * canvas.width,
              ((b + t * (q - b)) / ny) * canvas.height]);
          });
          for (let c = 0; c + 1 < crossings.length; c += 2) {
            pen.moveTo(...crossings[c]);
            pen.lineTo(...crossings[c + 1]);
          }
        }
      }
    }
    pen.stroke();
    pen.globalAlpha = 1;
  }

  function drawCross(scale) {
    if (document.activeElement !== canvas || !canvas.matches(":focus-visible")) return;
    const [x, y] = [toX(cross[0]), toY(cross[1])], arm = 9 * scale;
    pen.strokeStyle = ACCENT;
    pen.lineWidth = 2 * scale;
    pen.beginPath();
    pen.moveTo(x - arm, y); pen.lineTo(x + arm, y);
    pen.moveTo(x, y - arm); pen.lineTo(x, y + arm);
    pen.stroke();
  }

  function drawBound() {
    const svg = part("bound"), n = bounds.length;
    const low = Math.min(...bounds), range = Math.max(...bounds) - low || 1;
    const x = (i) => 12 + (276 * i) / Math.max(n - 1, 1), y = (b) => 92 - (72 * (b - low)) / range;
    const line = bounds.map((b, i) => `${x(i).toFixed(1)},${y(b).toFixed(1)}`).join(" ");
    const text = (at, words, anchor) => `<text x="${at}" y="112" text-anchor="${anchor}"
      font-size="11" fill="${INK}">${words}</text>`;
    svg.innerHTML = !n ? text(150, "The bound: nats per point, after each E-step", "middle")
      : `<polyline points="${line}" fill="none" stroke="${ACCENT}" stroke-width="2"/>
        <circle cx="${x(n - 1)}" cy="${y(bounds[n - 1])}" r="3" fill="${ACCENT}"/>`
        + text(12, `bound, ${n} E-step${n > 1 ? "s" : ""}`, "start")
        + text(288, `${bounds[n - 1].toFixed(4)} nats per point`, "end");
    svg.setAttribute("aria-label", !n ? "The bound, no E-step yet"
      : `The bound after ${n} E-steps, from ${bounds[0].toFixed(3)} to ${bounds[n - 1].toFixed(3)}
        nats per point`);
  }

  function drawTable() {
    part("table").innerHTML = !mixture ? "" : mixture.weights.map((weight, k) => {
      const [long, short] = axes(mixture.covariances[k]).map((std) => std.toPrecision(2));
      const mean = mixture.means[k].map((value) => value.toFixed(2)).join(", ");
      return `<tr><th scope="row"><span class="swatch" style="background:${color(k)}"></span>${k + 1}
        </th><td>${weight.toFixed(3)}</td><td>${mean}</td><td>${long}, ${short}</td></tr>`;
    }).join("");
  }

  function draw() {
    const scale = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * scale);
    if (canvas.width !== width) {
      canvas.width = width;
      canvas.height = Math.round(width * 0.75);
    }
    pen.clearRect(0, 0, canvas.width, canvas.height);
    if (mixture && fault === null && part("contours").checked) drawContours(scale);
    drawPoints(scale);
    if (mixture && part("ellipses").checked) drawEllipses(scale);
    drawCross(scale);
    drawBound();
    drawTable();
    const ready = mixture !== null && fault === null;
    part("e").disabled = !ready || resp !== null;
    part("m").disabled = !ready || resp === null;
    part("e").classList.toggle("next", ready && resp === null);
    part("m").classList.toggle("next", ready && resp !== null);
    part("em").disabled = part("run").disabled = !ready;
    part("back").disabled = part("first").disabled = !history.length;
  }

  // ---------------------------------------------------------------- hands

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [clamp(((event.clientX - box.left) / box.width) * 2 * X_MAX - X_MAX, X_MAX),
      clamp(Y_MAX - ((event.clientY - box.top) / box.height) * 2 * Y_MAX, Y_MAX)];
  };
  const reach = () => (14 / canvas.clientWidth) * 2 * X_MAX; // 14 CSS pixels, in data units

  // The nearest mean or point within `limit`: {list, index} of an array of places.
  function nearest([x, y], limit, withMeans = true) {
    let found = null, best = limit;
    const look = (list, bonus) => list.forEach((p, index) => {
      const distance = Math.hypot(p[0] - x, p[1] - y) * bonus;
      if (distance < best) { best = distance; found = { list, index }; }
    });
    if (withMeans && mixture && part("ellipses").checked) look(mixture.means, 0.7);
    look(points, 1);
    return found;
  }

  function move({ list, index }, to) {
    if (list === points) points[index] = to;
    else {
      const means = [...mixture.means];
      means[index] = to;
      mixture = { ...mixture, means };
      held = held && { list: means, index };
    }
    changed();
    draw();
  }

  function add(at) {
    points.push(at);
    changed();
    say(`A point at ${at.map((v) => v.toFixed(1)).join(", ")}; ${count(points.length)} now.`);
    draw();
  }

  function remove(target) {
    if (!target) return;
    points.splice(target.index, 1);
    changed();
    if (points.length < Number(chosen("k"))) newStart();
    else say(`A point removed; ${count(points.length)} left.`);
    draw();
  }

  canvas.addEventListener("pointerdown", (event) => {
    const at = place(event);
    if (chosenTool() === "delete" || event.button === 2) {
      remove(nearest(at, reach(), false));
    } else if (event.button === 0) {
      held = nearest(at, reach());
      if (held) canvas.setPointerCapture(event.pointerId);
      else if (event.pointerType !== "touch") add(at); // a finger may be scrolling: see click
    }
  });
  canvas.addEventListener("pointermove", (event) => {
    if (held && event.buttons) move(held, place(event));
    else canvas.style.cursor = nearest(place(event), reach()) ? "grab" : "crosshair";
  });
  canvas.addEventListener("pointerup", (event) => {
    held = null;
    canvas.dataset.pointer = event.pointerType;
  });
  canvas.addEventListener("click", (event) => {
    const touched = event.pointerType === "touch" && chosenTool() === "add";
    if (touched && !nearest(place(event), reach())) add(place(event));
  });
  canvas.addEventListener("pointercancel", () => { held = null; });
  canvas.addEventListener("contextmenu", (event) => event.preventDefault());
  // A finger on a point or mean drags it; anywhere else it scrolls the page.
  canvas.addEventListener("touchstart", (event) => {
    const at = place(event.touches[0]);
    if (event.touches.length === 1 && nearest(at, reach())) event.preventDefault();
  }, { passive: false });
  const chosenTool = () => root.querySelector("input[name=pg-tool]:checked").value;

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const step = event.shiftKey ? 1 : 0.2;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      cross = [clamp(cross[0] + step * dx, X_MAX), clamp(cross[1] + step * dy, Y_MAX)];
      if (held) move(held, [...cross]);
    } else if (event.key === "Enter" || event.key === " ") {
      add([...cross]);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      remove(nearest(cross, Infinity, false));
    } else if (event.key === "m" || event.key === "M") {
      held = held ? null : nearest(cross, Infinity);
      if (held) cross = [...held.list[held.index]];
      say(held ? "Picked up. Arrow keys move it, M puts it down." : "Put down.");
    } else return;
    event.preventDefault();
    draw();
  });
  canvas.addEventListener("focus", draw);
  canvas.addEventListener("blur", () => { held = null; draw(); });
  root.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("select")) return;
    const button = { e: "e", s: "em", b: "back" }[event.key.toLowerCase()];
    if (button) part(button).click();
  });

  const after = (action) => () => { stop(); action(); draw(); };
  for (const id of ["data", "size"]) part(id).addEventListener("change", newPoints);
  for (const id of ["k", "structure", "start"]) part(id).addEventListener("change", newStart);
  for (const id of ["ellipses", "contours"]) part(id).addEventListener("change", draw);
  part("redraw").addEventListener("click", () => { seed += 1; newPoints(); });
  part("restart").addEventListener("click", () => { startSeed += 1; newStart(); });
  part("e").addEventListener("click", after(stepE));
  part("m").addEventListener("click", after(stepM));
  part("em").addEventListener("click", after(stepEM));
  part("back").addEventListener("click", back);
  part("first").addEventListener("click", after(() => {
    ({ mixture, resp, tint, bounds, fault } = history[0]);
    history = [];
    say("Back at the start.");
  }));
  part("run").addEventListener("click", () => {
    if (running) stop(); else start();
    draw();
  });
  new ResizeObserver(draw).observe(canvas);

  newPoints();

  // For the tests, and for the curious at the console.
  window.gmmPlayground = {
    load(settings) {
      stop();
      for (const id of ["structure", "reg"]) part(id).value = settings[id];
      points = settings.points.map((point) => [...point]);
      mixture = settings.mixture;
      [resp, tint, bounds, fault, history] = [null, null, [], null, []];
      draw();
    },
    state: () => ({ points, mixture, resp, bounds, fault, running: running !== 0 }),
  };
})();
