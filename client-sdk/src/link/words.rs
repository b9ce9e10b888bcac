//! The link in sentences, Chinese and English: what the self-test found and what to do about it, and
//! what went wrong last.

use medrelay_core::transfer::{CloseCode, Outcome, RefusalCode};

use super::connect::DialError;
use super::selftest::{Check, Finding, Value, Verdict};
use super::state::Problem;

/// In which language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Language {
    /// Simplified Chinese.
    Chinese,
    /// English.
    English,
}

impl Language {
    fn of(self, chinese: &str, english: &str) -> String {
        match self {
            Self::Chinese => chinese,
            Self::English => english,
        }
        .to_owned()
    }
}

/// A finding in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// What was checked.
    pub check: String,
    /// What was seen.
    pub seen: String,
    /// What to do; nothing when all is well.
    pub advice: Option<String>,
}

/// The words for a finding of the self-test.
#[must_use]
pub fn finding(finding: &Finding, language: Language) -> Sentence {
    let advice = (finding.verdict != Verdict::Good).then(|| advice(finding, language));
    Sentence { check: check(finding.check, language), seen: seen(&finding.value, language), advice }
}

/// The word for a verdict.
#[must_use]
pub fn verdict(verdict: Verdict, language: Language) -> String {
    match verdict {
        Verdict::Good => language.of("正常", "good"),
        Verdict::Doubtful => language.of("注意", "look"),
        Verdict::Bad => language.of("失败", "failed"),
    }
}

fn check(check: Check, language: Language) -> String {
    match check {
        Check::Certificate => language.of("证书剩余有效期", "certificate"),
        Check::Disk => language.of("磁盘可用空间", "free disk space"),
        Check::Name => language.of("域名解析", "name resolution"),
        Check::Udp => language.of("UDP 连接（QUIC）", "UDP (QUIC)"),
        Check::Tcp => language.of("TCP 连接（WebSocket）", "TCP (WebSocket)"),
        Check::Clock => language.of("与中继的时钟差", "clock offset"),
        Check::Upload => language.of("上行速度", "speed to the relay"),
        Check::Download => language.of("下行速度", "speed from the relay"),
        Check::Phantom => language.of("试传一幅模体图像", "one slice sent through"),
    }
}

fn seen(value: &Value, language: Language) -> String {
    match value {
        Value::Bytes(bytes) => format!("{:.1} GiB", *bytes as f64 / f64::from(1 << 30)),
        Value::Rate(rate) => format!("{:.2} Mbit/s", *rate as f64 * 8.0 / 1e6),
        Value::Days(days) => match language {
            Language::Chinese => format!("{days} 天"),
            Language::English => format!("{days} days"),
        },
        Value::Took(took) => format!("{} ms", took.as_millis()),
        Value::OffsetMillis(millis) => format!("{:+.1} s", *millis as f64 / 1e3),
        Value::Addresses(addresses) => addresses.join(", "),
        Value::Refused(error) => dial(error, language),
        Value::Fault(text) => text.clone(),
        Value::Silence => language.of("没有应答", "no answer"),
        Value::Aside(outcome) => aside(*outcome, language),
        Value::NotTaken(code) => refusal(*code, language),
    }
}

fn advice(finding: &Finding, language: Language) -> String {
    match finding.check {
        Check::Certificate => language.of(
            "证书没有自动续期：请保持网关联网；若已过期，请向中继管理员索取新的加入码，重新加入。",
            "The certificate was not renewed: keep the gateway online; if it has ended, ask the \
             relay's administrator for a new code and join again.",
        ),
        Check::Disk => language.of(
            "请清理磁盘或更换更大的磁盘：空间不足时，网关会拒收设备发来的图像。",
            "Free space or use a larger disk: before it is full, the gateway refuses images.",
        ),
        Check::Name => language.of(
            "请检查本机的 DNS 设置，或请管理员改用 IP 地址。",
            "Check this machine's DNS, or have the relay addressed by its IP address.",
        ),
        Check::Udp => language.of(
            "请让防火墙放行到中继的 UDP 端口。不放行也能用 TCP 传输，但在差的线路上会慢得多。",
            "Let the firewall pass UDP to the relay's port. Without it TCP is used, which is much \
             slower on a bad line.",
        ),
        Check::Tcp => language.of(
            "请让防火墙放行到中继的 TCP 端口：UDP 中断时要靠它，并且不要对它做 HTTPS 解密检查。",
            "Let the firewall pass TCP to the relay's port, without inspecting HTTPS: it is needed \
             when UDP fails.",
        ),
        Check::Clock => language
            .of("请在本机开启网络对时（NTP）。", "Switch on network time (NTP) on this machine."),
        Check::Upload | Check::Download => language.of(
            "线路很慢：请在不用网时再测一次；若仍如此，请联系宽带运营商。",
            "The line is slow: measure again when nobody uses it, then ask the provider.",
        ),
        Check::Phantom => language.of(
            "连接正常但图像没有存好：请把此页交给中继管理员。",
            "The connection works, but the image was not stored: show this to the relay's \
             administrator.",
        ),
    }
}

/// The words for what went wrong last.
#[must_use]
pub fn problem(problem: &Problem, language: Language) -> String {
    match problem {
        Problem::Dial(error) => dial(error, language),
        Problem::Lost(_) => language.of(
            "连接中断，正在重连；已传部分不会重传。",
            "The connection broke and is made again; nothing is sent twice.",
        ),
        Problem::Closed(code) => closed(*code, language),
        Problem::OtherRelay => language.of(
            "应答的不是本网关加入的中继，或它把本网关认作另一家机构：没有发送任何图像，请联系中继管理员。",
            "Whoever answers is not the relay that this gateway joined, or takes it for another \
             clinic's: nothing was sent; tell the relay's administrator.",
        ),
        Problem::BadReceipt(_) => language.of(
            "中继的回执有误：检查保留在本机，不会删除；请联系中继管理员。",
            "The relay's receipt is wrong: the study stays here and is not deleted; tell the \
             relay's administrator.",
        ),
        Problem::BadAttachment => language.of(
            "报告附件多次损坏，将在下次连接时重取。",
            "A report's document came damaged several times; it is fetched again later.",
        ),
        Problem::Shelf(why) => match language {
            Language::Chinese => format!("本机磁盘或数据库有问题：{why}"),
            Language::English => format!("The disk or database here: {why}"),
        },
        Problem::Unreadable(_) => language.of(
            "暂存区中有一个图像丢失或已改变，未发送；请从设备重新发送该检查。",
            "An object in the spool is gone or has changed and was not sent: send the study from \
             the modality again.",
        ),
        Problem::Expired => language.of(
            "证书已过期：请向中继管理员索取新的加入码，重新加入。",
            "The certificate has ended: ask the relay's administrator for a new code and join \
             again.",
        ),
        Problem::Renewal(why) => match language {
            Language::Chinese => format!("证书续期没有成功，将再试：{why}"),
            Language::English => format!("The certificate was not renewed and is asked for again: {why}"),
        },
    }
}

fn dial(error: &DialError, language: Language) -> String {
    match error {
        DialError::Name => language.of("无法解析中继的域名", "the relay's name does not resolve"),
        DialError::Silence => language.of(
            "中继没有应答：线路、中继或防火墙",
            "nobody answers: the line, the relay or a firewall",
        ),
        DialError::Network(what) => match language {
            Language::Chinese => format!("本机网络拒绝：{what}"),
            Language::English => format!("the network refuses: {what}"),
        },
        DialError::Refused(what) => match language {
            Language::Chinese => format!("连接被拒绝：{what}"),
            Language::English => format!("the connection was refused: {what}"),
        },
    }
}

/// The words for a close code of the relay (PROTOCOL 7).
#[must_use]
pub fn closed(code: CloseCode, language: Language) -> String {
    match code {
        CloseCode::Done | CloseCode::Moved => language.of("连接已结束", "the connection is over"),
        CloseCode::Version => language.of(
            "中继与网关版本不兼容：请升级网关",
            "relay and gateway have no version in common: update the gateway",
        ),
        CloseCode::Violation => language.of(
            "中继认为网关违反了协议：请升级网关并告知管理员",
            "the relay says that the gateway broke the protocol: update it and tell the \
             administrator",
        ),
        CloseCode::Revoked => language.of(
            "本网关已被中继管理员吊销：不再发送；需要新的加入码",
            "this gateway was revoked: nothing is sent any more; a new code is needed",
        ),
        CloseCode::Proof => {
            language.of("中继不接受本网关的证书", "the relay does not accept the certificate")
        }
        CloseCode::Stopping => language.of("中继正在重启", "the relay restarts"),
        CloseCode::Crowded => language.of(
            "本网关的连接过多：是否有两台机器用同一身份？",
            "too many connections of this gateway: do two machines use one identity?",
        ),
        CloseCode::Idle => language.of("长时间无数据，连接已关闭", "nothing was heard for long"),
        CloseCode::Closed => language.of(
            "本机构已在中继上停用：不再发送；请联系中继管理员",
            "the clinic is closed at the relay: nothing is sent any more; ask its administrator",
        ),
    }
}

/// The words for a refusal of the relay (PROTOCOL 7).
#[must_use]
pub fn refusal(code: RefusalCode, language: Language) -> String {
    match code {
        RefusalCode::OutOfSpace => language.of("中继空间不足", "the relay is out of space"),
        RefusalCode::Busy => language.of("中继忙", "the relay is busy"),
        RefusalCode::NotAnnounced => language.of("未在清单中", "it was not announced"),
        RefusalCode::Damaged => language.of("传输中损坏", "it was damaged on the way"),
        RefusalCode::OtherBytes => language.of("与清单不符", "it is not what the manifest says"),
        RefusalCode::Unreadable => language.of("不是可读的 DICOM", "it is not readable as DICOM"),
        RefusalCode::TooLarge => language.of("超过中继的大小限制", "it is too large for the relay"),
        RefusalCode::BadManifest => language.of("清单无法读取", "the manifest cannot be read"),
        RefusalCode::BadSignature => {
            language.of("清单签名有误", "the manifest's signature is wrong")
        }
        RefusalCode::OtherClinic => {
            language.of("清单属于另一家机构", "the manifest is another clinic's")
        }
    }
}

/// The words for what became of an entry at the relay.
#[must_use]
pub fn aside(outcome: Outcome, language: Language) -> String {
    match outcome {
        Outcome::Stored => language.of("已存好", "stored"),
        Outcome::OtherContent => language
            .of("已另存待查：同一 UID 但内容不同", "put aside: the UID is known with other bytes"),
        Outcome::OtherOwner => {
            language.of("已另存待查：属于另一家机构", "put aside: it belongs to another clinic")
        }
        Outcome::OtherPatient => language
            .of("已另存待查：检查属于另一位患者", "put aside: the study is another patient's"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_well_needs_no_advice_and_what_is_not_has_some_in_both_languages() {
        let well = Finding {
            check: Check::Udp,
            verdict: Verdict::Good,
            value: Value::Took(std::time::Duration::from_millis(62)),
        };
        assert_eq!(finding(&well, Language::English).advice, None);
        let checks = [
            Check::Certificate,
            Check::Disk,
            Check::Name,
            Check::Udp,
            Check::Tcp,
            Check::Clock,
            Check::Upload,
            Check::Download,
            Check::Phantom,
        ];
        for check in checks {
            let ill = Finding { check, verdict: Verdict::Bad, value: Value::Silence };
            let chinese = finding(&ill, Language::Chinese);
            let english = finding(&ill, Language::English);
            assert_ne!(chinese.check, english.check);
            assert_ne!(chinese.advice, english.advice);
            assert!(english.advice.is_some_and(|advice| advice.is_ascii() && advice.len() > 20));
        }
    }
}
