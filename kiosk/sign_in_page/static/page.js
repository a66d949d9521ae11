// Without this script everything works as well; with it, the page follows what happens at the kiosk.
"use strict";
(() => {
  const stage = document.querySelector("main").dataset.stage;
  if (!["opened", "signing_in", "confirming"].includes(stage)) return;
  const look = async () => {
    let pause = 2000;
    try {
      if (!document.hidden) {
        const answer = await fetch("/status", { cache: "no-store", credentials: "same-origin" });
        if (answer.ok && (await answer.json()).stage !== stage) return location.reload();
        if (!answer.ok) pause = 10000;
      }
    } catch {
      pause = 10000;
    }
    setTimeout(look, pause);
  };
  setTimeout(look, 2000);
})();
