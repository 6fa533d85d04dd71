// Sorts tables by a column, within their groups, and opens what a link points to.
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    if (!head.dataset.kind) return;
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const numbers = head.dataset.kind === "number";
      const now = head.getAttribute("aria-sort");
      // Numbers begin with the highest, names with the first.
      const order = now ? (now === "ascending" ? "descending" : "ascending")
        : (numbers ? "descending" : "ascending");
      for (const other of heads) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", order);
      const sign = order === "ascending" ? 1 : -1;
      for (const body of table.tBodies) {
        const kept = name => row => row.classList.contains(name);
        const rows = [...body.rows].filter(row => !kept("group")(row));
        const key = row => {
          const cell = row.cells[column];
          if (!numbers) return cell.querySelector(".term").textContent.trim().toLowerCase();
          return cell.dataset.value === undefined ? null : Number(cell.dataset.value);
        };
        rows.sort((a, b) => {
          // What is for reference only stays behind what competes.
          const behind = kept("reference")(a) - kept("reference")(b);
          if (behind) return behind;
          const [x, y] = [key(a), key(b)];
          // What has no value stays last either way.
          if (x === null || y === null) return (x === null) - (y === null);
          return sign * (x < y ? -1 : x > y ? 1 : 0);
        });
        body.append(...rows);
      }
    });
  });
}
const reveal = () => {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  for (let at = target && target.closest("details"); at; at = at.parentElement.closest("details")) {
    at.open = true;
  }
  if (target) target.scrollIntoView();
};
addEventListener("hashchange", reveal);
reveal();
