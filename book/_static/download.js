// The download button saves the chapter's notebook, also from file://, where a browser would show
// the file as text and a page may not read another one: there the notebook comes as a script.
(() => {
  "use strict";

  function save(name, text) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([text], { type: "application/x-ipynb+json" }));
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
  window.saveNotebook = save; // what the script calls

  for (const link of document.querySelectorAll(".btn-download-source-button[href$='.ipynb']")) {
    link.removeAttribute("target");
    link.download = link.pathname.split("/").at(-1);
    if (location.protocol !== "file:") continue;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      const script = document.createElement("script");
      script.src = `${link.href}.js`;
      script.addEventListener("load", () => script.remove());
      script.addEventListener("error", () => window.open(link.href));
      document.head.append(script);
    });
  }
})();
