"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const canvas = document.getElementById("map"), pen = canvas.getContext("2d");
  const tip = document.getElementById("tip"), said = document.getElementById("said");
  const points = data.points, clusters = data.clusters;
  // The middles of groups are drawn first, so that they keep their pictures.
  const order = points.map((_, n) => n).sort((a, b) => points[b].m - points[a].m || a - b);
  const THUMB = 40, CELL = 44, NEAR = 26, FURTHEST = 60;
  const view = { scale: 1, x: 0, y: 0 };
  let chosen = null, held = -1, due = false;
  const style = () => getComputedStyle(document.documentElement);
  const dark = matchMedia("(prefers-color-scheme: dark)");
  // The golden angle keeps neighbouring numbers apart.
  const colour = (c) => c < 0 ? style().getPropertyValue("--faint") : `hsl(${(c * 137.508) % 360} 62% ${dark.matches ? 62 : 42}%)`;
  let colours = [];
  const images = new Map();

  function picture(n) {
    if (!points[n].u) return null;
    let image = images.get(n);
    if (!image) {
      image = new Image();
      image.onload = draw;
      image.src = points[n].u;
      images.set(n, image);
    }
    return image.complete && image.naturalWidth ? image : null;
  }
  const size = () => [canvas.clientWidth, canvas.clientHeight];
  const side = () => Math.max(1, Math.min(...size()) - 2 * THUMB);
  function at(n) {
    const [width, height] = size(), unit = side() * view.scale;
    return [width / 2 + (points[n].x - 0.5 - view.x) * unit, height / 2 + (points[n].y - 0.5 - view.y) * unit];
  }
  const shown = (n) => chosen === null || points[n].c === chosen;

  function paint() {
    due = false;
    const [width, height] = size(), ratio = devicePixelRatio || 1;
    if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
      canvas.width = Math.round(width * ratio);
      canvas.height = Math.round(height * ratio);
    }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.clearRect(0, 0, width, height);
    const taken = new Map(), pictured = [];
    const cellOf = (x, y) => Math.floor(x / CELL) + ":" + Math.floor(y / CELL);
    const around = [-CELL, 0, CELL];
    const free = (x, y) => around.every((dx) => around.every((dy) => {
      const other = taken.get(cellOf(x + dx, y + dy));
      return !other || Math.abs(other[0] - x) >= CELL || Math.abs(other[1] - y) >= CELL;
    }));
    for (const n of order) {
      const [x, y] = at(n);
      if (x < -THUMB || y < -THUMB || x > width + THUMB || y > height + THUMB) continue;
      if (shown(n) && points[n].u && free(x, y)) {
        taken.set(cellOf(x, y), [x, y]);
        pictured.push([n, x, y]);
      }
      pen.globalAlpha = shown(n) ? 0.85 : 0.12;
      pen.fillStyle = colours[points[n].c + 1];
      pen.beginPath();
      pen.arc(x, y, 3.5, 0, 7);
      pen.fill();
    }
    pen.globalAlpha = 1;
    for (const [n, x, y] of pictured.reverse()) frame(n, x, y, THUMB, 2);
    if (held >= 0) frame(held, ...at(held), THUMB * 1.5, 4);
  }
  function frame(n, x, y, most, border) {
    const image = picture(n);
    if (!image) {
      pen.fillStyle = colours[points[n].c + 1];
      pen.beginPath();
      pen.arc(x, y, border * 2, 0, 7);
      pen.fill();
      return;
    }
    const scale = most / Math.max(image.naturalWidth, image.naturalHeight);
    const width = image.naturalWidth * scale, height = image.naturalHeight * scale;
    pen.fillStyle = colours[points[n].c + 1];
    pen.fillRect(x - width / 2 - border, y - height / 2 - border, width + 2 * border, height + 2 * border);
    pen.drawImage(image, x - width / 2, y - height / 2, width, height);
  }
  function draw() {
    if (!due) {
      due = true;
      requestAnimationFrame(paint);
    }
  }
  function zoom(factor, x, y) {
    const [width, height] = size(), scale = Math.min(FURTHEST, Math.max(0.5, view.scale * factor));
    const before = side() * view.scale, after = side() * scale;
    view.x += (x - width / 2) * (1 / before - 1 / after);
    view.y += (y - height / 2) * (1 / before - 1 / after);
    view.scale = scale;
    settle();
  }
  function settle() {
    view.x = Math.min(0.6, Math.max(-0.6, view.x));
    view.y = Math.min(0.6, Math.max(-0.6, view.y));
    place();
    draw();
  }
  const nameOf = (c) => c < 0 ? "in no group" : clusters[c].label;
  function hold(n, aloud) {
    if (n === held && !aloud) return;
    held = n;
    tip.replaceChildren();
    if (n >= 0) {
      if (points[n].u) {
        const image = document.createElement("img");
        image.src = points[n].u;
        image.alt = "";
        tip.append(image);
      }
      const id = document.createElement("b"), rest = document.createElement("div");
      id.textContent = points[n].id;
      rest.textContent = nameOf(points[n].c) + (points[n].c < 0 ? "" : `, cosine ${points[n].s.toFixed(3)} to its middle`);
      tip.append(id, rest);
      if (aloud) said.textContent = `${points[n].id}, ${nameOf(points[n].c)}`;
    }
    place();
    draw();
  }
  function place() {
    tip.style.display = held >= 0 ? "block" : "none";
    if (held < 0) return;
    const [width, height] = size(), [x, y] = at(held);
    tip.style.left = Math.max(4, Math.min(width - tip.offsetWidth - 4, x + 38)) + "px";
    tip.style.top = Math.max(4, Math.min(height - tip.offsetHeight - 4, y + 10)) + "px";
  }
  function nearest(x, y) {
    let best = -1, least = NEAR * NEAR;
    for (let n = 0; n < points.length; n++) {
      if (!shown(n)) continue;
      const [a, b] = at(n), far = (a - x) ** 2 + (b - y) ** 2;
      if (far < least) [best, least] = [n, far];
    }
    return best;
  }
  function choose(c) {
    chosen = chosen === c ? null : c;
    for (const button of names.children) button.setAttribute("aria-pressed", String(Number(button.value) === chosen));
    hold(-1);
    draw();
  }
  function step(by) {
    const among = order.filter(shown);
    if (!among.length) return;
    const next = among[(Math.max(0, among.indexOf(held)) + (held < 0 ? 0 : by) + among.length) % among.length];
    const [x, y] = at(next), [width, height] = size();
    if (x < 40 || y < 40 || x > width - 40 || y > height - 40) {
      view.x = points[next].x - 0.5;
      view.y = points[next].y - 0.5;
    }
    hold(next, true);
  }

  const names = document.getElementById("names");
  const noise = points.some((point) => point.c < 0);
  for (const c of [...clusters.keys(), ...(noise ? [-1] : [])]) {
    const button = document.createElement("button"), dot = document.createElement("i");
    const name = document.createElement("span"), count = document.createElement("small");
    button.type = "button";
    button.value = String(c);
    button.setAttribute("aria-pressed", "false");
    name.textContent = nameOf(c);
    count.textContent = c < 0 ? "" : clusters[c].items.toLocaleString("en");
    button.append(dot, name, count);
    button.onclick = () => choose(c);
    names.append(button);
  }
  function recolour() {
    colours = [-1, ...clusters.keys()].map(colour);
    for (const button of names.children) button.firstChild.style.background = colours[Number(button.value) + 1];
    draw();
  }

  const pointers = new Map();
  let moved = false;
  const place2 = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  canvas.onpointerdown = (event) => {
    canvas.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, place2(event));
    moved = false;
  };
  canvas.onpointermove = (event) => {
    const now = place2(event), before = pointers.get(event.pointerId);
    if (!before) return hold(nearest(...now));
    if (Math.hypot(now[0] - before[0], now[1] - before[1]) > 2) moved = true;
    if (pointers.size === 1) {
      view.x -= (now[0] - before[0]) / (side() * view.scale);
      view.y -= (now[1] - before[1]) / (side() * view.scale);
      settle();
    } else if (pointers.size === 2) {
      const other = [...pointers].find(([id]) => id !== event.pointerId)[1];
      const apart = (a) => Math.max(1, Math.hypot(a[0] - other[0], a[1] - other[1]));
      zoom(apart(now) / apart(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
    }
    pointers.set(event.pointerId, now);
  };
  canvas.onpointerup = canvas.onpointercancel = (event) => {
    const there = pointers.delete(event.pointerId);
    if (!there || moved || event.type === "pointercancel") return;
    const n = nearest(...place2(event));
    hold(n, n >= 0);
  };
  canvas.onpointerleave = () => hold(-1);
  canvas.ondblclick = (event) => zoom(2, ...place2(event));
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0015)), ...place2(event));
  }, { passive: false });
  canvas.onkeydown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const [width, height] = size(), by = 60 / (side() * view.scale);
    const keys = {
      ArrowLeft: () => (view.x -= by, settle()), ArrowRight: () => (view.x += by, settle()),
      ArrowUp: () => (view.y -= by, settle()), ArrowDown: () => (view.y += by, settle()),
      "+": () => zoom(1.4, width / 2, height / 2), "=": () => zoom(1.4, width / 2, height / 2),
      "-": () => zoom(1 / 1.4, width / 2, height / 2),
      "0": () => (Object.assign(view, { scale: 1, x: 0, y: 0 }), settle()),
      n: () => step(1), p: () => step(-1),
      Escape: () => { hold(-1); if (chosen !== null) choose(chosen); },
    };
    if (!keys[event.key]) return;
    event.preventDefault();
    keys[event.key]();
  };
  new ResizeObserver(() => { place(); draw(); }).observe(canvas);
  dark.addEventListener("change", recolour);
  recolour();
})();
