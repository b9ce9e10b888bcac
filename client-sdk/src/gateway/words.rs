//! What the command line says to people, in Chinese and English.

use super::config::Language;
use super::import::Found;
use medrelay_link::Kind;
use serde_json::Value;

use crate::link::LinkState;

/// The texts of one language.
#[derive(Debug, Clone, Copy)]
pub struct Words {
    zh: bool,
}

impl Words {
    /// The texts of a language.
    pub fn of(language: Language) -> Self {
        Self { zh: language == Language::Zh }
    }

    fn pick(self, zh: String, en: String) -> String {
        if self.zh { zh } else { en }
    }

    /// While files are read.
    pub fn reading(self) -> &'static str {
        if self.zh { "正在读取文件" } else { "reading files" }
    }

    /// What an import found.
    pub fn found(self, found: &Found) -> String {
        let (studies, fresh, same) = (found.studies.len(), found.fresh, found.same);
        let (flagged, foreign, bad) = (found.flagged, found.foreign, found.unreadable.len());
        self.pick(
            format!(
                "检查 {studies} 个：新图像 {fresh} 幅，已有 {same} 幅，待确认 {flagged} 幅；\
                 非 DICOM 文件 {foreign} 个已跳过，无法读取 {bad} 个"
            ),
            format!(
                "{studies} studies: {fresh} new images, {same} known, {flagged} to be decided; \
                 {foreign} files are not DICOM and were skipped, {bad} cannot be read"
            ),
        )
    }

    /// The question about what looks wrong.
    pub fn looks_wrong(self, patient: &str, flags: &[&str]) -> String {
        let reasons: Vec<&str> = flags.iter().map(|flag| self.flag(flag)).collect();
        let reasons = reasons.join(if self.zh { "；" } else { "; " });
        self.pick(
            format!("{patient}：{reasons}。仍然发送吗？(y/n)"),
            format!("{patient}: {reasons}. Send it anyway? (y/n)"),
        )
    }

    /// Why a person must look.
    pub fn flag(self, flag: &str) -> &'static str {
        match (flag, self.zh) {
            ("other_patient", true) => "同一检查里出现两位患者",
            ("other_patient", false) => "two patients in one study",
            ("other_content", true) => "同一图像编号对应不同内容",
            ("other_content", false) => "one image number with two contents",
            ("no_pixels", true) => "图像没有像素",
            ("no_pixels", false) => "an image without pixels",
            ("short_pixels", true) => "图像像素不全",
            ("short_pixels", false) => "an image with too few pixels",
            ("blank_pixels", true) => "图像全部为同一灰度（空白）",
            ("blank_pixels", false) => "an image of one single shade",
            (_, true) => "需要确认",
            (_, false) => "to be decided",
        }
    }

    /// How the link is, in a few words.
    pub fn line(self, state: &LinkState) -> String {
        let words = match (state.carrier, self.zh) {
            (Some(Kind::Quic), _) => "QUIC",
            (Some(Kind::WebSocket), true) => "HTTPS（较慢）",
            (Some(Kind::WebSocket), false) => "HTTPS (slower)",
            (None, true) => "未连接，正在重试",
            (None, false) => "not connected, trying again",
        };
        words.to_owned()
    }

    /// The relay wants this gateway no more.
    pub fn stopped(self) -> &'static str {
        if self.zh {
            "本网关已被上级医院停用，请联系上级医院的管理员"
        } else {
            "this gateway was switched off by the lead hospital: call its administrator"
        }
    }

    /// The end of a `send`.
    pub fn sent(
        self,
        instances: u64,
        aside: u64,
        held: u64,
        committed: bool,
        seconds: f64,
    ) -> String {
        let end = match (committed, held, self.zh) {
            (true, _, true) => "上级医院已确认收妥",
            (true, _, false) => "the lead hospital has confirmed all of it",
            (false, 0, true) => "尚未全部送达，稍后会继续",
            (false, 0, false) => "not all of it is there yet; it goes on later",
            (false, _, true) => "有检查等待您确认：medrelay-gateway review",
            (false, _, false) => "some studies wait for your decision: medrelay-gateway review",
        };
        self.pick(
            format!("已送达 {instances} 幅（另存待核对 {aside} 幅），用时 {seconds:.1} 秒；{end}"),
            format!(
                "{instances} images delivered ({aside} put aside there) in {seconds:.1} s; {end}"
            ),
        )
    }

    /// The status in a few lines, from what the page gets.
    pub fn status(self, status: &Value) -> String {
        let said = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let numbers = &status["numbers"];
        let (clinic, sending) = (said(&status["clinic"]), &status["sending"]);
        let (waiting, done, held) = (&numbers["waiting"], &numbers["done_today"], &numbers["held"]);
        let mut text = self.pick(
            format!("{clinic}\n等待 {waiting}  正在发送 {sending}  今日已送达 {done}"),
            format!("{clinic}\nwaiting {waiting}  sending {sending}  done today {done}"),
        );
        if held.as_u64().is_some_and(|held| held > 0) {
            text += &self.pick(
                format!("\n待您确认 {held}：medrelay-gateway review"),
                format!("\nwaiting for your decision {held}: medrelay-gateway review"),
            );
        }
        let problem = &status["problem"];
        if let Some(code) = problem["code"].as_str() {
            let what = match problem["detail"].as_str().unwrap_or_default() {
                "" => self.trouble(code).to_owned(),
                detail => format!("{}: {detail}", self.trouble(code)),
            };
            text += &self.pick(
                format!("\n最近的问题：{what}（{} 次）", problem["times"]),
                format!("\nlast problem: {what} ({} times)", problem["times"]),
            );
        }
        for item in status["items"].as_array().into_iter().flatten() {
            if item["seen"] == false {
                let kind = self.trouble(item["kind"].as_str().unwrap_or_default()).to_owned();
                text +=
                    &format!("\n{kind}  {}  {}", said(&item["case_number"]), said(&item["text"]));
            }
        }
        text
    }

    /// What went wrong, by the word that the spool keeps for it.
    fn trouble(self, code: &str) -> &str {
        match TROUBLES.iter().find(|(known, ..)| *known == code) {
            Some((_, zh, en)) => {
                if self.zh {
                    zh
                } else {
                    en
                }
            }
            None => self.flag_or(code),
        }
    }

    fn flag_or(self, code: &str) -> &str {
        match self.flag(code) {
            "需要确认" | "to be decided" => code,
            known => known,
        }
    }

    /// Nothing is flagged.
    pub fn nothing_to_decide(self) -> &'static str {
        if self.zh { "没有需要确认的检查" } else { "nothing waits for your decision" }
    }

    /// After joining: what to type into the modality.
    pub fn joined(self, clinic: &str, ae_title: &str, port: u16, addresses: &str) -> String {
        self.pick(
            format!(
                "已加入：{clinic}\n请在设备（CT、DR、超声……）上填写：\n  AE 标题  {ae_title}\n  IP 地址  {addresses}\n  端口     {port}\n\
                 然后启动：medrelay-gateway run"
            ),
            format!(
                "joined: {clinic}\nType into the modality (CT, DR, ultrasound …):\n  AE title    {ae_title}\n  IP address  {addresses}\n  port        {port}\n\
                 then start: medrelay-gateway run"
            ),
        )
    }
}

/// What goes wrong and what comes back, in Chinese and English; the status page has the same.
const TROUBLES: &[(&str, &str, &str)] = &[
    ("report", "诊断报告", "report"),
    ("return_request", "退回：请处理", "returned: please act"),
    ("notice", "通知", "notice"),
    (
        "spool_full",
        "本机存储已满，设备暂时不能发送",
        "this machine is full: modalities have to wait",
    ),
    ("unreadable", "有文件无法读取", "a file cannot be read"),
    ("disk", "磁盘出错", "the disk failed"),
    ("watch", "监视的文件夹无法读取", "a watched folder cannot be read"),
    (
        "aside_other_content",
        "上级医院已有同编号但内容不同的图像",
        "the lead hospital has another image of this number",
    ),
    ("aside_other_owner", "该图像属于其他机构", "the image belongs to another clinic"),
    (
        "aside_other_patient",
        "上级医院的同一检查属于另一位患者",
        "the study is another patient's at the lead hospital",
    ),
    (
        "relay_out_of_space",
        "上级医院存储已满，正在重试",
        "the lead hospital's disk is full: trying again",
    ),
    ("relay_busy", "上级医院正忙", "the lead hospital is busy"),
    ("pack_damaged", "传输中损坏，将重发", "damaged on the way, sent again"),
    ("changed_on_disk", "本机文件在发送前被改动", "a file was changed here before it was sent"),
    ("too_large", "图像过大", "an image is too large"),
    ("bad_manifest", "清单有误", "the list is wrong"),
    ("bad_signature", "签名有误", "the signature is wrong"),
    ("other_clinic", "清单属于其他机构", "the list is another clinic's"),
    ("not_announced", "协议错误", "protocol error"),
    ("link", "线路", "line"),
];
