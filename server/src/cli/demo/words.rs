//! What the demonstration prints, in Chinese and English.

use std::path::Path;
use std::time::Duration;

use serde_json::json;

use medrelay_core::people::Role;

use super::super::table::table;
use super::consortium::{ACCOUNTS, Account, CLINICS, HOSPITAL, PASSWORD};
use crate::app::Relay;

pub(super) const MAKING: &str = "正在建立示例联合体 / making the sample consortium";
pub(super) const SENDING: &str =
    "正在经 DICOM 传入示例检查 / sending the sample studies over DICOM";

/// How long it took.
pub(super) fn made(took: Duration) -> String {
    let seconds = took.as_secs_f32();
    format!("示例数据就绪，用时 {seconds:.1} 秒 / sample data ready after {seconds:.1} s\n")
}

/// Why nothing is done with data that is not whole or not ours.
pub(super) fn refusal(data: &Path) -> String {
    let dir = data.display();
    format!(
        "medrelay: {dir} 中的数据不是完整的示例数据；如不再需要，请删除 {dir} 后重试，或用 --data 指定新目录\n\
         medrelay: the data in {dir} is not a whole set of sample data. If you do not need it, \
         delete {dir} and start again; else name a new directory with --data, or run \
         `medrelay serve`."
    )
}

/// Accounts, what lies where, and what to try next.
pub(super) fn welcome(relay: &Relay, data: &Path) -> String {
    let rows: Vec<Vec<String>> = ACCOUNTS
        .iter()
        .map(|account| {
            let role = format!("{} {}", chinese(account.role), account.role.as_str());
            [account.login, account.name, &role, place(account)].map(str::to_owned).to_vec()
        })
        .collect();
    let accounts = table(&["账号 login", "姓名 name", "角色 role", "机构 organization"], &rows);
    format!("\n{}\n{accounts}\n{}", warning(data), tries(relay, data))
}

/// That everybody knows the passwords, and how to be rid of it all.
pub(super) fn warning(data: &Path) -> String {
    let dir = data.display();
    format!(
        "********************************************************************************\n\
         *  仅供演示的示例数据，口令公开；删除 {dir} 即可重置\n\
         *  SAMPLE DATA ONLY, with known passwords; delete {dir} to reset\n\
         ********************************************************************************\n\n\
         所有账号的口令 / password of every account: {PASSWORD}\n"
    )
}

/// The same for programs.
pub(super) fn json(relay: &Relay) -> anyhow::Result<String> {
    let accounts: Vec<_> = ACCOUNTS
        .iter()
        .map(|account| {
            json!({
                "login": account.login, "name": account.name, "role": account.role,
                "organization": place(account), "password": PASSWORD,
            })
        })
        .collect();
    let devices: Vec<_> = CLINICS
        .iter()
        .flat_map(|clinic| {
            let device = |(ae_title, _): &(&str, &str)| {
                json!({ "ae_title": ae_title, "clinic": clinic.name })
            };
            clinic.devices.iter().map(device)
        })
        .collect();
    let addresses = &relay.addresses;
    Ok(serde_json::to_string(&json!({
        "http": addresses.http, "https": addresses.https,
        "dimse": addresses.dimse, "dimse_tls": addresses.dimse_tls,
        "ae_title": relay.service.settings().ae_title,
        "accounts": accounts, "devices": devices,
    }))?)
}

/// Commands that work as they stand.
fn tries(relay: &Relay, data: &Path) -> String {
    let mut text = String::new();
    let program = program();
    if let Some(dimse) = relay.addresses.dimse {
        let (port, ae_title) = (dimse.port(), &relay.service.settings().ae_title);
        text.push_str(&format!(
            "下一步：以青山镇 CT 的身份传一个新检查 / try next: send one more study as a clinic's CT\n  \
             {program} phantom --modality CT --slices 20 new-study && \
             storescu -aet CLINIC1CT -aec {ae_title} +sd 127.0.0.1 {port} new-study\n"
        ));
    }
    if let Some(http) = relay.addresses.http {
        text.push_str(&format!(
            "登录 API / sign in to the API\n  \
             curl -s -H 'Content-Type: application/json' \
             -d '{{\"login\":\"verifier\",\"password\":\"{PASSWORD}\"}}' \
             http://{http}/api/v1/sessions\n"
        ));
    }
    let (dir, clinic) = (data.display(), CLINICS[0].name);
    text.push_str(&format!(
        "让报告也送到卫生院的 PACS / let reports go to a clinic's PACS, too\n  \
         storescp -aet PACS 11113 &\n  \
         {program} --data {dir} clinic destination add --clinic {clinic} \
         --ae-title PACS --host 127.0.0.1 --port 11113\n\
         让卫生院的网关加入 / let a clinic's gateway join\n  \
         {program} --data {dir} clinic join-code --clinic {clinic}\n\n\
         按 Ctrl-C 停止 / press Ctrl-C to stop"
    ));
    text
}

/// The program as it was called, so that the commands work where it was called.
fn program() -> String {
    let called = std::env::args_os().next();
    called.map_or_else(|| "medrelay".to_owned(), |path| path.to_string_lossy().into_owned())
}

fn place(account: &Account) -> &'static str {
    account.clinic.and_then(|number| CLINICS.get(number)).map_or(HOSPITAL, |clinic| clinic.name)
}

const fn chinese(role: Role) -> &'static str {
    match role {
        Role::Technician => "技师",
        Role::ClinicDoctor => "申请医生",
        Role::Reporter => "报告医师",
        Role::Verifier => "审核医师",
        Role::Coordinator => "协调员",
        Role::Administrator => "系统管理员",
        Role::Auditor => "审计管理员",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_role_has_an_account() {
        for role in Role::ALL {
            assert!(ACCOUNTS.iter().any(|account| account.role == *role), "{role:?}");
        }
    }
}
