// Equations, code, outputs and tables that are wider than the page scroll in their own box.
// Those that really overflow get a name and a place in the tab order, so that the arrow keys
// reach what is hidden; the others stay out of the keyboard's way.
(() => {
  "use strict";

  const boxes = {
    "mjx-container": "Equation, scrolls sideways",
    pre: "Code, scrolls sideways",
    ".cell_output pre": "Output, scrolls sideways",
    ".cell_output .text_html": "Output, scrolls sideways",
    ".pst-scrollable-table-container": "Table, scrolls sideways",
  };
  const overflows = (box) => {
    if (box.matches("mjx-container:not([display])")) {
      const column = box.closest("p, li, td, th, dd, dt, figcaption, h1, h2, h3");
      return column && box.firstElementChild.getBoundingClientRect().width > column.clientWidth + 1;
    }
    return box.scrollWidth > box.clientWidth + 1;
  };

  function mark() {
    for (const [selector, label] of Object.entries(boxes)) {
      for (const box of document.querySelectorAll(`.bd-article ${selector}`)) {
        if (overflows(box)) {
          box.classList.add("scrolls");
          box.tabIndex = 0;
          box.setAttribute("role", "group");
          box.setAttribute("aria-label", label);
        } else if (box.classList.contains("scrolls")) {
          box.classList.remove("scrolls");
          for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
        }
      }
    }
  }

  // A formula is a picture to the browser, which may break the line before a following comma.
  function keepPunctuation() {
    for (const formula of document.querySelectorAll(".bd-article span.math")) {
      const after = formula.nextSibling;
      const mark = after?.nodeType === Node.TEXT_NODE && after.data.match(/^[.,;:!?)\]’”]+/);
      if (!mark) continue;
      after.splitText(mark[0].length);
      const both = document.createElement("span");
      both.className = "nowrap";
      formula.before(both);
      both.append(formula, after);
    }
  }

  async function start() {
    await window.MathJax?.startup?.promise;
    keepPunctuation();
    mark();
    // Width changes, dropdowns that open, the reader's own font size.
    const watcher = new ResizeObserver(() => requestAnimationFrame(mark));
    const article = document.querySelector(".bd-article");
    if (article) watcher.observe(article);
    document.documentElement.dataset.scroll = "ready"; // the page's tests wait for this
  }
  window.addEventListener("load", start);
})();
