// Shows on the landing page how the relay is. Everything here also stands in /readyz and /version.
"use strict";

const TEXTS = {
  good: "正常 · good",
  bad: "异常 · not available",
  low: "不足 · too little",
  serving: "运行中 · serving",
  waiting: "尚未就绪 · not ready",
  unreachable: "无法连接 · cannot be reached",
};

function show(id, good, text) {
  const place = document.getElementById(id);
  place.textContent = text;
  place.className = good ? "good" : "bad";
}

async function refresh() {
  try {
    // 503 is an answer too: it says what is missing.
    const health = await (await fetch("/readyz", { cache: "no-store" })).json();
    show("ready", health.ready, health.ready ? TEXTS.serving : TEXTS.waiting);
    show("database", health.database, health.database ? TEXTS.good : TEXTS.bad);
    show("blobs", health.blobs, health.blobs ? TEXTS.good : TEXTS.bad);
    show("space", health.space, health.space ? TEXTS.good : TEXTS.low);
  } catch {
    for (const id of ["ready", "database", "blobs", "space"]) show(id, false, TEXTS.unreachable);
  }
}

async function once() {
  document.getElementById("api").textContent = `${location.origin}/api/v1`;
  document.getElementById("dicom").textContent = `${location.hostname}:11112`;
  try {
    const { version } = await (await fetch("/version")).json();
    document.getElementById("version").textContent = version;
  } catch {
    document.getElementById("version").textContent = TEXTS.unreachable;
  }
}

once();
refresh();
setInterval(refresh, 10_000);
