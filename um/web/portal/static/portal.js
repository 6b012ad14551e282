// The portal works without this script; with it messages appear by themselves, the player has its
// waveform, and greetings can be recorded.
"use strict";
document.documentElement.classList.add("scripted");

const said = document.getElementById("said");
const say = (text) => { if (said) said.textContent = text; };

// Rows that are scrolled sideways on a telephone begin where one is.
for (const current of document.querySelectorAll(".side [aria-current], .chips [aria-current]")) {
  const row = current.closest("ul");
  const [inner, outer] = [current.getBoundingClientRect(), row.getBoundingClientRect()];
  row.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
}

// -- selecting --------------------------------------------------------------------------------
const picks = () => [...document.querySelectorAll('#list input[name="m"]')];
const mark = () => {
  const form = document.querySelector("#list form");
  if (!form) return;
  const chosen = picks().filter((each) => each.checked).length;
  form.classList.toggle("picked", chosen > 0);
  const all = form.querySelector("[data-all]");
  if (all) {
    all.checked = chosen > 0 && chosen === picks().length;
    all.indeterminate = chosen > 0 && chosen < picks().length;
  }
};
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-all]")) {
    for (const each of picks()) each.checked = event.target.checked;
  }
  if (event.target.matches('[data-all], input[name="m"]')) mark();
});
document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-confirm]");
  if (button && !window.confirm(button.dataset.confirm)) event.preventDefault();
});
mark();

// -- live -------------------------------------------------------------------------------------
const list = document.getElementById("list");
async function refresh() {
  const answer = await fetch(location.href, { headers: { "X-UM-Refresh": "list" } });
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const replacement = fresh.getElementById("list");
  if (!replacement) return undefined;
  const chosen = new Set(picks().filter((each) => each.checked).map((each) => each.value));
  const focused = document.activeElement && document.activeElement.getAttribute("href");
  const before = Number(list.dataset.total);
  list.replaceChildren(...replacement.childNodes);
  list.dataset.total = replacement.dataset.total;
  for (const selector of [".filters", ".quota"]) {
    const [old, now] = [document.querySelector(selector), fresh.querySelector(selector)];
    if (old && now) old.replaceWith(now);
  }
  document.title = fresh.title;
  for (const each of picks()) each.checked = chosen.has(each.value);
  if (focused) document.querySelector(`#list a[href="${CSS.escape(focused)}"]`)?.focus();
  mark();
  if (Number(list.dataset.total) > before) say(document.body.dataset.new);
  return undefined;
}
function listen() {
  const source = new EventSource(document.body.dataset.events);
  let due = 0;
  source.addEventListener("mailbox", () => {
    clearTimeout(due);
    due = setTimeout(refresh, 150);
  });
  // It comes again by itself after a pause, unless the session has ended: then the page leads to
  // the login.
  source.addEventListener("error", async () => {
    if (source.readyState !== EventSource.CLOSED) return;
    const session = await fetch("/api/v1/session").catch(() => null);
    if (session && session.status === 401) location.reload();
    else setTimeout(listen, 10000);
  });
}
if (list && document.body.dataset.events && window.EventSource) listen();

// -- the player -------------------------------------------------------------------------------
for (const player of document.querySelectorAll("[data-player]")) {
  const audio = player.querySelector("audio");
  const bars = player.querySelector(".bars");
  const range = bars.querySelector("input");
  const rects = [...bars.querySelectorAll("rect")];
  const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
  const paint = () => {
    const share = audio.duration ? audio.currentTime / audio.duration : 0;
    rects.forEach((each, at) => each.classList.toggle("past", at < share * rects.length));
    range.value = Math.round(share * 1000);
    range.setAttribute("aria-valuetext", clock(audio.currentTime));
  };
  bars.hidden = false;
  player.querySelector(".speed").hidden = false;
  audio.addEventListener("timeupdate", paint);
  range.addEventListener("input", () => {
    if (audio.duration) audio.currentTime = (range.value / 1000) * audio.duration;
    paint();
  });
  // By the keyboard as on the telephone: a step is four seconds.
  range.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -4, ArrowDown: -4, ArrowRight: 4, ArrowUp: 4 }[event.key];
    if (!step || !audio.duration) return;
    event.preventDefault();
    audio.currentTime = Math.min(Math.max(0, audio.currentTime + step), audio.duration);
    paint();
  });
  for (const button of player.querySelectorAll("[data-speed]")) {
    button.addEventListener("click", () => {
      audio.playbackRate = Number(button.dataset.speed);
      for (const each of player.querySelectorAll("[data-speed]")) {
        each.setAttribute("aria-pressed", String(each === button));
      }
    });
  }
}

// -- recording a greeting ---------------------------------------------------------------------
for (const button of document.querySelectorAll("[data-record]")) {
  if (!navigator.mediaDevices || !window.MediaRecorder) break;
  button.hidden = false;
  const label = button.querySelector("span");
  const words = label.textContent;
  let recorder = null;
  button.addEventListener("click", async () => {
    if (recorder) { recorder.stop(); return; }
    let stream;
    try {
      stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    } catch {
      say(button.dataset.failed);
      label.textContent = button.dataset.failed;
      return;
    }
    const pieces = [];
    recorder = new MediaRecorder(stream);
    recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
    recorder.addEventListener("stop", () => {
      for (const track of stream.getTracks()) track.stop();
      const file = new File(pieces, "greeting", { type: recorder.mimeType });
      const chosen = new DataTransfer();
      chosen.items.add(file);
      const form = button.closest("form");
      form.querySelector('input[type="file"]').files = chosen.files;
      recorder = null;
      label.textContent = words;
      form.requestSubmit();
    });
    recorder.start();
    label.textContent = button.dataset.stop;
    setTimeout(() => recorder && recorder.stop(), Number(button.dataset.seconds) * 1000);
  });
}

// -- what is still being made -----------------------------------------------------------------
async function look() {
  const answer = await fetch(location.href, { headers: { "X-UM-Refresh": "part" } }).catch(() => null);
  const old = document.querySelector("[data-refresh]");
  if (!answer) return setTimeout(look, 10000);
  if (!answer.ok || answer.redirected) return location.reload();
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById(old.id);
  if (!fresh) return undefined;
  old.replaceWith(fresh);
  if (fresh.dataset.refresh) return setTimeout(look, Number(fresh.dataset.refresh) * 1000);
  say(fresh.textContent.trim().replace(/\s+/g, " "));
  return undefined;
}
const waiting = document.querySelector("[data-refresh]");
if (waiting) setTimeout(look, Number(waiting.dataset.refresh) * 1000);
