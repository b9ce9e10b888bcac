// The one-time set-up: the secret stands after the # of the link, so it never reaches a log.
"use strict";

const FAULTS = {
  token: "链接不完整：请使用程序启动时打印的完整链接。\nThe link is not whole: use the one that the program printed.",
  hospital: "请填写医院名称。\nWrite the name of the hospital.",
  name: "请填写管理员姓名。\nWrite the name of the administrator.",
  login: "登录账号不符合要求：请用小写字母和数字。\nThe account name will not do: use small letters and digits.",
  password: "密码不符合要求：至少 12 个字符，且不能太常见、不能包含账号。\nThe password will not do: at least 12 characters, not a common one, not the account name.",
  again: "两次输入的密码不一致。\nThe passwords are not the same.",
  BAD_TICKET: "链接无效、已使用或已过期。重新启动程序会打印新的链接。\nThis link is wrong, used or out of date. Starting the program again prints a new one.",
  BUSY: "服务器忙，请稍后再试。\nThe relay is busy; try again in a moment.",
  network: "无法连接服务器，请检查网络后再试。\nThe relay cannot be reached; check the network and try again.",
  other: "设置没有完成，请查看程序日志。\nThe set-up did not finish; see the program's log.",
};

const form = document.getElementById("form");
const fault = document.getElementById("fault");
const button = document.getElementById("send");
const token = new URLSearchParams(location.hash.slice(1)).get("token") ?? "";

function refuse(field, text) {
  fault.textContent = text;
  const input = form.elements.namedItem(field);
  if (input) {
    input.setAttribute("aria-invalid", "true");
    input.focus();
  }
}

function firstFault(typed) {
  if (!token) return "token";
  for (const field of ["hospital", "name", "login"]) {
    if (!typed[field].trim()) return field;
  }
  if ([...typed.password].length < 12) return "password";
  return typed.password === typed.again ? null : "again";
}

async function send(typed) {
  const { hospital, name, login, password } = typed;
  let response;
  try {
    response = await fetch("/api/v1/setup", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ token, hospital, name, login, password }),
    });
  } catch {
    return refuse("", FAULTS.network);
  }
  if (response.ok) {
    // The used link must not stay in the history of a shared computer.
    history.replaceState(null, "", "/setup");
    document.getElementById("account").textContent = login;
    document.getElementById("work").hidden = true;
    document.getElementById("done").hidden = false;
    return;
  }
  const problem = await response.json().catch(() => ({}));
  const known = FAULTS[problem.code] ?? FAULTS[problem.field] ?? FAULTS.other;
  refuse(problem.field ?? "", problem.detail ? `${known}\n(${problem.detail})` : known);
}

form.addEventListener("input", (event) => event.target.removeAttribute("aria-invalid"));
form.addEventListener("submit", async (event) => {
  event.preventDefault();
  fault.textContent = "";
  const typed = Object.fromEntries(new FormData(form));
  const wrong = firstFault(typed);
  if (wrong) return refuse(wrong, FAULTS[wrong]);
  button.disabled = true;
  await send(typed);
  button.disabled = false;
});

if (!token) refuse("", FAULTS.token);
