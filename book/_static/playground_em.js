// EM for a mixture of Gaussians in the plane: gmmlearn's arithmetic for the playground, without
// the page. tests/book/test_playground.py holds it against the package.
//
// points: [[x, y], ...]; parameters: {weights: [K], means: [K][2], covariances: [K][3]}, where a
// covariance is [xx, xy, yy]; responsibilities: N arrays of K numbers.
const playgroundEM = (() => {
  "use strict";

  const LOG_2PI = Math.log(2 * Math.PI);

  class CollapsedError extends Error {
    constructor(component) {
      super(`the covariance of component ${component + 1} is singular`);
      this.component = component;
    }
  }

  // Lower Cholesky factor [a, b, c] of a covariance: [[a, 0], [b, c]].
  function cholesky([xx, xy, yy], component) {
    const a = Math.sqrt(xx), b = xy / a, square = yy - b * b;
    // What rounding leaves of a singular matrix is not a variance.
    if (!(xx > 0) || !(square > 4 * Number.EPSILON * yy)) throw new CollapsedError(component);
    return [a, b, Math.sqrt(square)];
  }

  // A function that gives the log joint densities log pi_k + log N(x; mu_k, Sigma_k) at a point.
  function logJoint({ weights, means, covariances }) {
    const factors = covariances.map(cholesky);
    const constants = factors.map(([a, , c], k) => Math.log(weights[k]) - LOG_2PI - Math.log(a * c));
    return ([x, y]) => factors.map(([a, b, c], k) => {
      const u = (x - means[k][0]) / a;
      const v = (y - means[k][1] - b * u) / c;
      return constants[k] - 0.5 * (u * u + v * v);
    });
  }

  function logSumExp(values) {
    const top = Math.max(...values);
    return top + Math.log(values.reduce((sum, value) => sum + Math.exp(value - top), 0));
  }

  // Responsibilities (eq. em-e-step) and the bound, mean nats per point.
  function eStep(points, parameters) {
    const joint = logJoint(parameters);
    let total = 0;
    const resp = points.map((point) => {
      const values = joint(point), logProb = logSumExp(values);
      total += logProb;
      return values.map((value) => Math.exp(value - logProb));
    });
    return { resp, bound: total / points.length };
  }

  // What each structure keeps of the components' scatter matrices about their means.
  const STRUCTURES = {
    full: (covariances) => covariances,
    tied: (covariances, counts) => {
      const total = counts.reduce((sum, count) => sum + count, 0);
      const pooled = [0, 1, 2].map((i) =>
        covariances.reduce((sum, covariance, k) => sum + counts[k] * covariance[i], 0) / total);
      return covariances.map(() => [...pooled]);
    },
    diag: (covariances) => covariances.map(([xx, , yy]) => [xx, 0, yy]),
    spherical: (covariances) => covariances.map(([xx, , yy]) => [(xx + yy) / 2, 0, (xx + yy) / 2]),
  };

  // Weighted moments (eq. em-m-step-weights, em-m-step-means, em-m-step-covariances). A component
  // without any point keeps its mean and covariance.
  function mStep(points, resp, old, structure, regCovar) {
    const counts = old.weights.map((_, k) => resp.reduce((sum, row) => sum + row[k], 0));
    const means = counts.map((count, k) => {
      if (!count) return old.means[k];
      let x = 0, y = 0;
      points.forEach((point, n) => { x += resp[n][k] * point[0]; y += resp[n][k] * point[1]; });
      return [x / count, y / count];
    });
    const scatter = counts.map((count, k) => {
      if (!count) return old.covariances[k];
      let xx = 0, xy = 0, yy = 0;
      points.forEach((point, n) => {
        // Centring first keeps the digits that E[xx'] - mu mu' would cancel.
        const x = point[0] - means[k][0], y = point[1] - means[k][1], r = resp[n][k];
        xx += r * x * x; xy += r * x * y; yy += r * y * y;
      });
      return [xx / count, xy / count, yy / count];
    });
    const covariances = STRUCTURES[structure](scatter, counts)
      .map(([xx, xy, yy], k) => counts[k] || structure === "tied"
        ? [xx + regCovar, xy, yy + regCovar] : old.covariances[k]);
    return { weights: counts.map((count) => count / points.length), means, covariances };
  }

  // A small seeded generator (mulberry32): the same seed gives the same points and starts.
  function generator(seed) {
    let state = seed >>> 0;
    const uniform = () => {
      state = (state + 0x6d2b79f5) | 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
      return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
    const normal = () => // Box and Muller
      Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
    return { uniform, normal, integer: (n) => Math.floor(n * uniform()) };
  }

  // K points as centres, far apart or at random, and the summary of the points nearest to each:
  // weights, means, and one covariance that all share (eq. em-start).
  function start(points, K, spread, structure, regCovar, rng) {
    const centres = [], nearest = points.map(() => Infinity), labels = points.map(() => 0);
    while (centres.length < K) {
      const chance = nearest.map((d) => !centres.length ? 1 : spread ? d : Number(d > 0));
      let left = rng.uniform() * chance.reduce((sum, value) => sum + value, 0);
      if (!left) break; // fewer different points than components
      let chosen = chance.findLastIndex((value) => value > 0);
      for (let n = 0; n < chance.length; n++) if ((left -= chance[n]) < 0) { chosen = n; break; }
      const centre = points[chosen];
      points.forEach(([x, y], n) => {
        const distance = (x - centre[0]) ** 2 + (y - centre[1]) ** 2;
        if (distance < nearest[n]) { nearest[n] = distance; labels[n] = centres.length; }
      });
      centres.push(centre);
    }
    const resp = labels.map((label) => centres.map((_, k) => Number(k === label)));
    const blank = {
      weights: centres.map(() => 0), means: centres, covariances: centres.map(() => [1, 0, 1]),
    };
    const groups = mStep(points, resp, blank, "tied", regCovar);
    // All share the groups' covariance, so that a group of one point cannot collapse at once.
    const variances = STRUCTURES[structure](groups.covariances, groups.weights);
    return { ...groups, covariances: variances };
  }

  return { CollapsedError, cholesky, eStep, generator, logJoint, logSumExp, mStep, start };
})();
