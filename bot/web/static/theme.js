// Before the first paint, so that a chosen theme does not flash. A classic script: modules run too late.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem("promptai.theme");
  } catch {
    // Storage may be blocked; the system's theme is right then.
  }
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
})();
