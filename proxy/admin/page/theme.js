// Dark or light: what the system says, unless the reader has chosen. Loaded before the page is
// painted, so that the choice never flashes; therefore the one script that is not a module.

(() => {
  const KEY = "slotway-theme";
  const root = document.documentElement;
  const system = window.matchMedia("(prefers-color-scheme: dark)");

  const shown = () => root.dataset.theme ?? (system.matches ? "dark" : "light");
  const tell = () => {
    const button = document.getElementById("theme");
    if (!button) return;
    const other = shown() === "dark" ? "light" : "dark";
    button.textContent = other === "light" ? "☀" : "☾";
    button.setAttribute("aria-label", `Show the page ${other}`);
    button.title = `Show the page ${other}`;
    document.dispatchEvent(new CustomEvent("themechange"));
  };

  const chosen = localStorage.getItem(KEY);
  if (chosen === "dark" || chosen === "light") root.dataset.theme = chosen;

  system.addEventListener("change", tell);
  document.addEventListener("DOMContentLoaded", () => {
    tell();
    document.getElementById("theme").addEventListener("click", () => {
      root.dataset.theme = shown() === "dark" ? "light" : "dark";
      localStorage.setItem(KEY, root.dataset.theme);
      tell();
    });
  });
})();
