// The button that goes through the themes: the system's, light, dark.

import { byId } from "./dom.js";

const THEMES = ["system", "light", "dark"];

function themed(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  byId("theme").textContent = `Theme: ${theme}`;
}

export function startTheme() {
  themed(document.documentElement.dataset.theme ?? "system");
  byId("theme").addEventListener("click", () => {
    const theme = THEMES[(THEMES.indexOf(document.documentElement.dataset.theme ?? "system") + 1) % THEMES.length];
    themed(theme);
    try {
      localStorage.setItem("sixfold-theme", theme);
    } catch {
      // It then lasts as long as the page.
    }
  });
}
