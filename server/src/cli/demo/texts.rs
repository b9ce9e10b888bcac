//! The sample texts for reports: templates and phrases of the lead hospital.

use medrelay_core::id::OrganizationId;
use medrelay_core::people::TemplateKind;

use crate::service::templates::{NewTemplate, TemplateContent};
use crate::service::{Caller, Error, Service};

/// A sample template.
struct Whole {
    name: &'static str,
    shortcut: &'static str,
    modality: &'static str,
    body_part: &'static str,
    findings: &'static str,
    impression: &'static str,
    recommendation: &'static str,
}

/// The sample templates.
const TEMPLATES: [Whole; 8] = [
    Whole {
        name: "头颅CT平扫 未见异常",
        shortcut: "tlct",
        modality: "CT",
        body_part: "HEAD",
        findings: "颅骨骨质完整，未见骨折线。双侧大脑半球对称，灰白质分界清楚，脑实质内未见异常密度影。\
                   脑室系统大小、形态正常，脑沟、脑裂无增宽，中线结构居中。所示鼻窦及乳突气化良好。",
        impression: "头颅CT平扫未见明确异常。",
        recommendation: "如症状持续，建议结合临床复查或行MR检查。",
    },
    Whole {
        name: "头颅CT平扫 脑出血",
        shortcut: "ncx",
        modality: "CT",
        body_part: "HEAD",
        findings: "【部位】见团块状高密度影，大小约【】mm×【】mm×【】mm，CT值约【】HU，周围见低密度水肿带，\
                   邻近脑沟变浅，同侧脑室受压，中线结构【居中/向侧移位约 mm】。脑室内【未见/见】积血。",
        impression: "【部位】脑出血，血肿量约【】ml。",
        recommendation: "危急值，已电话告知申请医师。建议立即转诊并复查CT。",
    },
    Whole {
        name: "胸部CT平扫 未见异常",
        shortcut: "xbct",
        modality: "CT",
        body_part: "CHEST",
        findings: "胸廓对称，双肺纹理清晰，走行自然，双肺实质内未见异常密度影。气管及叶段支气管通畅。\
                   双侧肺门不大，纵隔居中，纵隔内未见肿大淋巴结。心影大小、形态正常。\
                   双侧胸膜无增厚，胸腔未见积液。所示骨质未见异常。",
        impression: "胸部CT平扫未见明确异常。",
        recommendation: "",
    },
    Whole {
        name: "胸部CT平扫 肺结节",
        shortcut: "fjj",
        modality: "CT",
        body_part: "CHEST",
        findings: "【肺叶】【肺段】见【实性/部分实性/磨玻璃】结节，大小约【】mm×【】mm，边界【清/不清】，\
                   【可见/未见】分叶、毛刺、胸膜牵拉。余肺野清晰。纵隔内未见肿大淋巴结。双侧胸腔未见积液。",
        impression: "【肺叶】结节，大小约【】mm，性质待定。",
        recommendation: "建议【】个月后复查胸部薄层CT，对比观察。",
    },
    Whole {
        name: "颅脑MR平扫 未见异常",
        shortcut: "lnmr",
        modality: "MR",
        body_part: "BRAIN",
        findings: "双侧大脑半球对称，灰白质信号正常，脑实质内未见异常信号影，DWI未见弥散受限。\
                   脑室系统大小、形态正常，脑沟、脑裂无增宽，中线结构居中。小脑、脑干未见异常。\
                   垂体不大。所示鼻窦黏膜无增厚。",
        impression: "颅脑MR平扫未见明确异常。",
        recommendation: "",
    },
    Whole {
        name: "胸部正位片 未见异常",
        shortcut: "xp",
        modality: "DX",
        body_part: "CHEST",
        findings: "胸廓对称，气管居中。双肺纹理清晰，肺野内未见实变影。双侧肺门不大。\
                   心影大小、形态正常。双侧膈面光整，肋膈角锐利。所示骨质未见异常。",
        impression: "心、肺、膈未见明确异常。",
        recommendation: "",
    },
    Whole {
        name: "四肢关节片 未见骨折",
        shortcut: "gj",
        modality: "DX",
        body_part: "EXTREMITY",
        findings: "【部位】诸骨骨质完整，骨小梁清晰，未见骨折线及骨质破坏。关节在位，关节间隙正常，\
                   关节面光整。周围软组织未见肿胀。",
        impression: "【部位】未见明确骨折征象。",
        recommendation: "外伤后如疼痛持续，建议7～10天后复查或行CT检查，除外隐匿性骨折。",
    },
    Whole {
        name: "腹部超声 未见异常",
        shortcut: "fbcs",
        modality: "US",
        body_part: "ABDOMEN",
        findings: "肝脏大小、形态正常，包膜光整，实质回声均匀，肝内管道走行清晰，门静脉不宽。\
                   胆囊大小正常，壁光滑，腔内未见异常回声，胆总管不扩张。胰腺大小、回声正常。\
                   脾脏不大，回声均匀。双肾大小、形态正常，皮髓质分界清楚，集合系统未见分离。\
                   腹腔未见游离液性暗区。",
        impression: "肝、胆、胰、脾、双肾未见明显异常。",
        recommendation: "",
    },
];

/// The sample phrases: name, shortcut, modality, text.
const PHRASES: [(&str, &str, &str, &str); 12] = [
    ("双肺纹理清晰", "sf", "", "双肺纹理清晰，走行自然，未见实变影。"),
    ("双肺下叶坠积", "zj", "CT", "双肺下叶背侧见少许坠积性改变。"),
    ("纤维条索", "ts", "", "见少许纤维条索影，边界清。"),
    ("钙化灶", "gh", "", "见点状钙化灶，边界清。"),
    ("胸腔积液", "jy", "", "【侧】胸腔见【少/中/大】量积液，邻近肺组织膨胀不全。"),
    ("气胸", "qx", "", "【侧】胸腔见无肺纹理透亮区，肺组织压缩约【】%。"),
    ("腔隙性脑梗死", "qg", "", "【部位】见斑点状低密度影（长T2信号），边界清，考虑腔隙性脑梗死。"),
    ("脑白质疏松", "bz", "", "双侧侧脑室旁脑白质区见斑片状对称性改变，考虑脑白质疏松。"),
    ("肝囊肿", "gn", "", "肝【叶】见类圆形液性灶，大小约【】mm×【】mm，边界清，考虑囊肿。"),
    ("胆囊结石", "dj", "US", "胆囊腔内见强回声团，大小约【】mm，后伴声影，随体位移动。"),
    ("结合临床", "jh", "", "请结合临床及其他检查。"),
    ("与前片比较", "bj", "", "与【】年【】月【】日片比较，【未见明显变化/较前吸收/较前进展】。"),
];

/// Makes the texts of the lead hospital.
pub(super) async fn make(service: &Service, hospital: &OrganizationId) -> Result<(), Error> {
    for whole in &TEMPLATES {
        let content = TemplateContent {
            name: whole.name.to_owned(),
            shortcut: whole.shortcut.to_owned(),
            modality: whole.modality.to_owned(),
            body_part: whole.body_part.to_owned(),
            findings: whole.findings.to_owned(),
            impression: whole.impression.to_owned(),
            recommendation: whole.recommendation.to_owned(),
        };
        put(service, hospital, TemplateKind::Template, content).await?;
    }
    for (name, shortcut, modality, text) in PHRASES {
        let content = TemplateContent {
            name: name.to_owned(),
            shortcut: shortcut.to_owned(),
            modality: modality.to_owned(),
            findings: text.to_owned(),
            ..TemplateContent::default()
        };
        put(service, hospital, TemplateKind::Phrase, content).await?;
    }
    Ok(())
}

async fn put(
    service: &Service,
    hospital: &OrganizationId,
    kind: TemplateKind,
    content: TemplateContent,
) -> Result<(), Error> {
    let new = NewTemplate { organization: hospital.clone(), own: false, kind, content };
    service.create_template(&Caller::system(), new).await?;
    Ok(())
}
