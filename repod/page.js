"use strict";
// Search, filters and copy buttons. The page is complete without this.
(() => {
  const form = document.getElementById("filter");

  if (form !== null) {
    const words = document.getElementById("words");
    const os = document.getElementById("os");
    const arch = document.getElementById("arch");
    const count = document.getElementById("count");
    const images = Array.from(document.querySelectorAll("#list > article"), (element) => ({
      element, text: element.textContent.toLowerCase(),
    }));
    const apply = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter((word) => word !== "");
      let shown = 0;

      for (const { element, text } of images) {
        const fits = wanted.every((word) => text.includes(word)) &&
          (os.value === "" || element.dataset.os === os.value) &&
          (arch.value === "" || element.dataset.arch === arch.value);

        element.hidden = !fits;
        shown += fits ? 1 : 0;
      }
      count.textContent = shown === images.length ? `${shown} images` : `${shown} of ${images.length} images`;
    };
    // "#q=debian" in the address makes a search that can be sent to somebody.
    const start = new URLSearchParams(location.hash.slice(1)).get("q");

    if (start !== null) words.value = start;
    form.addEventListener("input", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    form.hidden = false;
    apply();
  }

  // The clipboard is for pages over TLS alone, and may be denied; a selection can be copied everywhere.
  const copy = async (element) => {
    try {
      await navigator.clipboard.writeText(element.textContent);
      return true;
    } catch {
      getSelection().selectAllChildren(element);
      return document.execCommand("copy");
    }
  };

  for (const block of document.querySelectorAll("pre")) {
    const button = document.createElement("button");
    const frame = document.createElement("div");

    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      // Where nothing may be copied, the text is selected all the same.
      button.textContent = await copy(block) ? "Copied" : "Press Ctrl+C";
      setTimeout(() => { button.textContent = "Copy"; }, 2000);
    });
    frame.className = "copied";
    block.replaceWith(frame);
    frame.append(block, button);
  }
})();
