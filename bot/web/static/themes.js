// The theme button: automatic, light, dark.

const KEY = "promptai.theme";
const NEXT = { automatic: "light", light: "dark", dark: "automatic" };

export function setUpTheme(button, name) {
  const root = document.documentElement;
  const show = () => (name.textContent = `Theme: ${root.dataset.theme ?? "automatic"}`);
  button.addEventListener("click", () => {
    const theme = NEXT[root.dataset.theme ?? "automatic"];
    if (theme === "automatic") delete root.dataset.theme;
    else root.dataset.theme = theme;
    try {
      localStorage.setItem(KEY, theme);
    } catch {
      // Storage may be blocked: the choice lasts as long as the page then.
    }
    show();
  });
  show();
}
