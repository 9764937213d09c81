// Sorting, filtering, theme, copying, and looking for news; every page is complete without it.
"use strict";
(() => {
  const root = document.documentElement;
  const store = {
    get(key) { try { return localStorage.getItem(key); } catch { return null; } },
    set(key, value) { try { localStorage.setItem(key, value); } catch { /* private windows keep nothing */ } },
  };
  const chosen = store.get("rtbench-theme");
  if (chosen === "light" || chosen === "dark") root.dataset.theme = chosen;

  function theme() {
    const button = document.querySelector("button.theme");
    const dark = () => root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    const tell = () => button.setAttribute("aria-pressed", String(dark()));
    button.hidden = false;
    tell();
    button.addEventListener("click", () => {
      root.dataset.theme = dark() ? "light" : "dark";
      store.set("rtbench-theme", root.dataset.theme);
      tell();
    });
  }

  const MOST_LINES = 25;
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.sort ?? cell.textContent.trim();
  };

  function table(place) {
    const heads = [...place.querySelectorAll("thead th")];
    const body = place.querySelector("tbody");
    const built = [...body.rows];
    const tools = place.querySelector(".tools");
    const by = tools && tools.querySelector("[data-sort-by]");
    const memory = `rtbench-${location.pathname}-${place.dataset.key}`;
    const more = document.createElement("button");
    more.type = "button";
    more.className = "more";
    more.hidden = true;
    let sorted = { column: -1, down: false };
    let whole = built.length <= MOST_LINES + 5;
    let fits = () => true;

    function show() {
      let found = 0;
      for (const row of body.rows) {
        const wanted = fits(row);
        found += wanted;
        row.hidden = !wanted || (!whole && found > MOST_LINES);
      }
      more.hidden = whole || found <= MOST_LINES;
      more.textContent = `Show all ${found} lines`;
      return found;
    }
    more.addEventListener("click", () => {
      const first = [...body.rows].find((row) => row.hidden && fits(row));
      whole = true;
      show();
      first?.querySelector("a")?.focus();
    });
    place.append(more);

    function sort(column, down) {
      sorted = { column, down };
      heads.forEach((head, at) => head.setAttribute("aria-sort", at === column ? (down ? "descending" : "ascending") : "none"));
      if (by) by.value = column < 0 ? "" : String(column);
      if (column < 0) { body.append(...built); show(); return; }
      const number = heads[column].dataset.kind === "number";
      const keyed = built.map((row, at) => [valueOf(row, column), at, row]);
      keyed.sort(([a, i], [b, j]) => {
        if ((a === "") !== (b === "")) return a === "" ? 1 : -1;
        const order = number ? Number(a) - Number(b) : a.localeCompare(b, "en", { numeric: true });
        return (down ? -order : order) || i - j;
      });
      body.append(...keyed.map(([, , row]) => row));
      show();
    }

    heads.forEach((head, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      head.setAttribute("aria-sort", "none");
      button.addEventListener("click", () => {
        const number = head.dataset.kind === "number";
        const first = number && head.textContent.trim() !== "rank";
        sort(column, sorted.column === column ? !sorted.down : first);
        remember();
      });
    });
    const state = JSON.parse(store.get(memory) || "{}");
    show();
    if (!tools) return;

    const search = tools.querySelector("[data-search]");
    const filters = [...tools.querySelectorAll("[data-filter]")];
    const bare = tools.querySelector("[data-bare]");
    const count = tools.querySelector(".count");

    function filter() {
      const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
      fits = (row) => {
        const text = row.textContent.toLowerCase();
        return words.every((word) => text.includes(word))
          && filters.every(({ value, dataset }) => !value || [...row.cells].some((cell) => cell.dataset.head === dataset.filter
            && (dataset.filter === "status" ? cell.textContent.includes(value) : firstText(cell) === value)))
          && (!bare || bare.checked || !row.hasAttribute("data-bare"));
      };
      const found = show();
      count.textContent = found === built.length ? `${found} lines` : `${found} of ${built.length} lines`;
    }
    function firstText(cell) {
      return (cell.firstElementChild?.tagName === "A" ? cell.firstElementChild : cell).textContent.trim();
    }
    function remember() {
      const values = filters.map((each) => each.value);
      store.set(memory, JSON.stringify({ ...sorted, search: search.value, values, bare: !!bare?.checked }));
    }
    for (const input of [search, ...filters, bare].filter(Boolean)) {
      input.addEventListener("input", () => { filter(); remember(); });
    }
    by.addEventListener("input", () => {
      const column = by.value === "" ? -1 : Number(by.value);
      sort(column, column >= 0 && heads[column].dataset.kind === "number");
      remember();
    });
    tools.hidden = false;
    // What was chosen survives a page that renews itself, and no longer: another visit begins afresh.
    if (document.body.dataset.live && state.values) {
      search.value = state.search || "";
      filters.forEach((each, at) => { if ([...each.options].some((option) => option.value === state.values[at])) each.value = state.values[at]; });
      if (bare) bare.checked = state.bare;
      if (state.column >= 0 && state.column < heads.length) sort(state.column, state.down);
    }
    filter();
  }

  function copying() {
    if (!navigator.clipboard) return;
    for (const button of document.querySelectorAll("button.copy")) {
      button.hidden = false;
      button.addEventListener("click", async () => {
        await navigator.clipboard.writeText(button.previousElementSibling.textContent.trim());
        button.textContent = "Copied";
        setTimeout(() => { button.textContent = "Copy"; }, 1500);
      });
    }
  }

  function live() {
    const { live: source, liveS } = document.body.dataset;
    if (!source) return;
    let known = null;
    window.rtbenchLive = (digest) => {
      if (known !== null && digest !== known) location.reload();
      known = digest;
    };
    const look = () => {
      const script = document.createElement("script");
      script.src = `${source}?${Date.now()}`;
      script.onload = script.onerror = () => script.remove();
      document.head.append(script);
    };
    look();
    setInterval(look, 1000 * Number(liveS));
  }

  document.addEventListener("DOMContentLoaded", () => {
    theme();
    document.querySelectorAll(".sortable").forEach(table);
    copying();
    live();
  });
})();
