// Before anything is drawn: the theme that was chosen, so that a dark page does not flash up light.
"use strict";
try {
  const chosen = localStorage.getItem("sixfold-theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
} catch {
  // Storage may be forbidden; the system's theme it is.
}
