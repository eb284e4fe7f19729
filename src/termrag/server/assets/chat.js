"use strict";
// Runs before the terminal's own script: says where to connect, and how large a letter is.
const terminal = document.querySelector("#terminal");
const phone = Math.min(window.innerWidth, window.screen.width) < 600;
terminal.dataset.sessionWebsocketUrl = location.origin.replace(/^http/, "ws") + "/chat/ws";
terminal.dataset.fontSize = phone ? "13" : "16";

document.querySelector("#again").addEventListener("click", () => location.reload());

// A terminal cannot tell Shift+Enter from Enter: send what makes a new line instead.
document.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && event.shiftKey && !event.isComposing) {
    event.preventDefault();
    event.stopImmediatePropagation();
    const line = { key: "j", code: "KeyJ", keyCode: 74, which: 74, ctrlKey: true, bubbles: true, cancelable: true };
    event.target.dispatchEvent(new KeyboardEvent("keydown", line));
  }
}, true);
