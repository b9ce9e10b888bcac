//! DICOMweb as viewers use it: a foreign client finds, reads and shows what a foreign modality sent, and every frame is what
//! another decoder makes of it; the rules of who may see what and of what may be kept hold here, too.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use medrelay_core::people::Role::{ClinicDoctor, Reporter, Technician};
use medrelay_core::time::Span;
use medrelay_dicom::phantom::{Modality, PhantomPatient, PhantomSpec, TextEncoding};
use medrelay_tests::clinic::Place::{ClinicA, Lead, Stranger};
use medrelay_tests::clinic::{Consortium, Person};
use medrelay_tests::objects3::peers_python;
use medrelay_tests::process::run;
use medrelay_tests::relay::{Engine, Relay, tell};
use reqwest::header::{
    ACCEPT, ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH,
};
use serde_json::Value;

/// A caller of DICOMweb.
struct Viewer {
    http: reqwest::Client,
    base: String,
    token: String,
}

impl Viewer {
    fn new(relay: &Relay, person: &Person) -> Result<Self> {
        let token = person.token().context("signed in")?.to_owned();
        let http = reqwest::Client::builder().build()?;
        Ok(Self { http, base: format!("{}/dicomweb", relay.url()), token })
    }

    async fn ask(
        &self,
        path: &str,
        headers: &[(reqwest::header::HeaderName, &str)],
    ) -> Result<reqwest::Response> {
        let mut request = self.http.get(format!("{}{path}", self.base)).bearer_auth(&self.token);
        for (name, value) in headers {
            request = request.header(name, *value);
        }
        Ok(request.send().await?)
    }

    async fn json(&self, path: &str) -> Result<Value> {
        let answer = self.ask(path, &[]).await?;
        ensure!(answer.status() == 200, "{path}: {} {}", answer.status(), answer.text().await?);
        ensure!(answer.headers()[CONTENT_TYPE] == "application/dicom+json");
        Ok(serde_json::from_str(&answer.text().await?)?)
    }

    async fn status(&self, path: &str) -> Result<u16> {
        Ok(self.ask(path, &[]).await?.status().as_u16())
    }
}

fn text<'v>(model: &'v Value, tag: &str) -> &'v str {
    model[tag]["Value"][0].as_str().unwrap_or_default()
}

fn ct(instances: u32, seed: u64) -> PhantomSpec {
    PhantomSpec { instances, rows: 64, columns: 48, ..PhantomSpec::new(Modality::Ct, seed) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_client_sees_what_another_decoder_sees() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let technician = consortium.person(ClinicA, Technician).await?;
        let port = relay.dicom().port().to_string();
        let address = format!("{}/dicomweb", relay.url());
        let token = technician.token().context("signed in")?.to_owned();
        let printed = tokio::task::spawn_blocking(move || {
            let script = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/dicomweb.py");
            let mut command = Command::new(peers_python()?);
            run(command.args([script, "CT_A", "MEDRELAY", &port, &address, &token]))
        });
        let printed = printed.await??;
        let lines: Vec<Value> =
            printed.lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
        let sent = lines.iter().filter(|line| line["sent"] == true).count();
        let decoded = lines.iter().filter(|line| line["decoded"].as_u64() > Some(0)).count();
        let rendered = lines.iter().filter(|line| line["rendered"].as_u64() > Some(0)).count();
        let coded = lines.iter().filter(|line| line["jls"] == 200).count();
        let wrong: Vec<String> = lines
            .iter()
            .filter(|line| {
                !line["failed"].is_null() || line["wrong"].as_array().is_some_and(|w| !w.is_empty())
            })
            .map(ToString::to_string)
            .collect();
        let refused: Vec<String> = lines
            .iter()
            .filter(|line| !line["refused"].is_null() || !line["not_rendered"].is_null())
            .map(ToString::to_string)
            .collect();
        println!(
            "{sent} sent, {decoded} decoded, {rendered} rendered, {coded} as JPEG-LS; refused:"
        );
        println!("{}", refused.join("\n"));
        ensure!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        ensure!(sent > 100, "only {sent} files were sent");
        ensure!(decoded + 10 > sent, "only {decoded} of {sent} were decoded");
        ensure!(rendered + 10 > sent, "only {rendered} of {sent} were rendered");
        ensure!(coded > 60, "only {coded} came as JPEG-LS");
        Ok(())
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_are_found_by_those_who_may_see_them_on_sqlite() -> Result<()> {
    tell(Engine::Sqlite, searching).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn studies_are_found_by_those_who_may_see_them_on_postgres() -> Result<()> {
    tell(Engine::Postgres, searching).await
}

async fn searching(relay: &mut Relay) -> Result<()> {
    let consortium = Consortium::found(relay).await?;
    let specs: Vec<PhantomSpec> = [TextEncoding::Utf8, TextEncoding::Gb18030]
        .into_iter()
        .enumerate()
        .map(|(at, charset)| PhantomSpec {
            charset,
            series: 2,
            patient: PhantomPatient::sample(at),
            accession: Some(format!("ACC{at}")),
            study_date: format!("2026010{}", at + 1),
            ..ct(3, 40 + at as u64)
        })
        .collect();
    for spec in &specs {
        consortium.scanner(ClinicA).send(spec).await?;
    }
    relay.advance(Span::from_minutes(2)).await?;
    let viewer = Viewer::new(relay, &consortium.person(Lead, Reporter).await?)?;
    let all = viewer.json("/studies").await?;
    ensure!(all.as_array().is_some_and(|all| all.len() == 2), "{all}");
    for (query, found) in [
        ("PatientName=%E5%BC%A0*", 1),
        ("PatientName=zhang*", 1),
        ("PatientName=%E6%9D%8E*", 0),
        ("00100020=PH00000?", 2),
        ("PatientID=PH000001", 1),
        ("PatientID=PH00000_", 0),
        ("AccessionNumber=ACC1", 1),
        ("StudyDate=20260101-20260131", 2),
        ("StudyDate=20260102-", 1),
        ("StudyDate=-20251231", 0),
        ("ModalitiesInStudy=CT&limit=1", 1),
        ("ModalitiesInStudy=MR", 0),
        ("limit=1&offset=1", 1),
        ("offset=2", 0),
        ("includefield=all&fuzzymatching=false", 2),
    ] {
        let hits = viewer.json(&format!("/studies?{query}")).await?;
        ensure!(hits.as_array().is_some_and(|hits| hits.len() == found), "{query}: {hits}");
    }
    for bad in ["fuzzymatching=true", "limit=x", "Nonsense=1", "StudyDate=2026", "SOPClassUID=1.2"]
    {
        ensure!(viewer.status(&format!("/studies?{bad}")).await? == 400, "{bad}");
    }
    inside_a_study(&viewer, &specs[1]).await?;
    let study = format!("/studies/{}", specs[1].study_uid());
    // Whoever may not know of a study is told what they are told of one that is not there.
    let stranger = Viewer::new(relay, &consortium.person(Stranger, ClinicDoctor).await?)?;
    ensure!(stranger.json("/studies").await? == Value::Array(vec![]));
    ensure!(stranger.json("/instances").await? == Value::Array(vec![]));
    for path in ["", "/series", "/metadata", "/rendered", "/thumbnail", "/instances"] {
        let hidden = stranger.ask(&format!("{study}{path}"), &[]).await?;
        let absent = stranger.ask(&format!("/studies/1.2.3.4{path}"), &[]).await?;
        ensure!(hidden.status() == 404 && absent.status() == 404, "{path}");
        ensure!(hidden.text().await? == absent.text().await?, "{path}");
    }
    Ok(())
}

async fn inside_a_study(viewer: &Viewer, spec: &PhantomSpec) -> Result<()> {
    let study = format!("/studies/{}", spec.study_uid());
    let hit = &viewer.json("/studies?AccessionNumber=ACC1").await?[0];
    ensure!(hit["00100010"]["Value"][0]["Ideographic"] == "𠮷^䶮", "{hit}");
    ensure!(hit["00201206"]["Value"][0] == 2 && hit["00201208"]["Value"][0] == 6, "{hit}");
    ensure!(
        viewer.json(&format!("{study}/series")).await?.as_array().is_some_and(|s| s.len() == 2)
    );
    ensure!(
        viewer.json(&format!("{study}/instances")).await?.as_array().is_some_and(|i| i.len() == 6)
    );
    ensure!(viewer.json("/series?SeriesNumber=2").await?.as_array().is_some_and(|s| s.len() == 2));
    ensure!(
        viewer.json("/instances?InstanceNumber=3").await?.as_array().is_some_and(|i| i.len() == 4)
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_are_read_kept_and_noted() -> Result<()> {
    tell(Engine::Sqlite, async |relay: &mut Relay| {
        let consortium = Consortium::found(relay).await?;
        let spec = PhantomSpec {
            charset: TextEncoding::Gb18030,
            patient: PhantomPatient::sample(1),
            ..ct(4, 50)
        };
        consortium.scanner(ClinicA).send(&spec).await?;
        relay.advance(Span::from_minutes(2)).await?;
        let viewer = Viewer::new(relay, &consortium.person(Lead, Reporter).await?)?;
        let first = spec.instance(0, 0);
        let series = format!("/studies/{}/series/{}", first.study, first.series);
        let place = format!("{series}/instances/{}", first.sop_instance);

        // Metadata: in UTF-8, packed, and not sent twice.
        let model = viewer.json(&format!("{series}/metadata")).await?;
        ensure!(model.as_array().is_some_and(|all| all.len() == 4));
        ensure!(model[0]["00100010"]["Value"][0]["Ideographic"] == "𠮷^䶮", "{}", model[0]);
        ensure!(text(&model[0], "00080005") == "ISO_IR 192");
        let bulk = model[0]["7FE00010"]["BulkDataURI"].as_str().context("where the pixels are")?;
        ensure!(bulk.ends_with(&format!("{place}/bulkdata/7FE00010")), "{bulk}");
        let packed =
            viewer.ask(&format!("{series}/metadata"), &[(ACCEPT_ENCODING, "gzip")]).await?;
        ensure!(packed.headers()[CONTENT_ENCODING] == "gzip");
        let tag = packed.headers()[ETAG].to_str()?.to_owned();
        let again = viewer.ask(&format!("{series}/metadata"), &[(IF_NONE_MATCH, &tag)]).await?;
        ensure!(again.status() == 304, "{}", again.status());

        let frame = format!("{place}/frames/1");
        let pixels = &first.data_set[first.data_set.len() - 64 * 48 * 2..];
        frames_in_every_form(&viewer, &series, &place, pixels).await?;

        // Many frames are one access.
        let read = "SELECT COUNT(*) FROM events WHERE kind = 'images_read'";
        ensure!(relay.count(read).await? == 1);
        relay.pass(Span::from_minutes(61));
        ensure!(viewer.status(&frame).await? == 200);
        ensure!(relay.count(read).await? == 2);
        Ok(())
    })
    .await
}

/// A frame as it is stored, alone and in parts, and as JPEG-LS; what is asked for wrongly.
async fn frames_in_every_form(
    viewer: &Viewer,
    series: &str,
    place: &str,
    pixels: &[u8],
) -> Result<()> {
    // A frame as it is stored is what was sent; the same as JPEG-LS is shorter and for ever.
    let raw = "application/octet-stream; transfer-syntax=1.2.840.10008.1.2.1";
    let frame = format!("{place}/frames/1");
    let plain = viewer.ask(&frame, &[(ACCEPT, raw)]).await?;
    ensure!(plain.headers()[CACHE_CONTROL] == "private, max-age=31536000, immutable");
    let tag = plain.headers()[ETAG].to_str()?.to_owned();
    ensure!(plain.bytes().await? == pixels);
    let again = viewer.ask(&frame, &[(ACCEPT, raw), (IF_NONE_MATCH, &tag)]).await?;
    ensure!(again.status() == 304 && again.bytes().await?.is_empty());
    let coded = viewer.ask(&frame, &[(ACCEPT, "image/jls")]).await?;
    let kind = coded.headers()[CONTENT_TYPE].to_str()?.to_owned();
    ensure!(kind == "image/jls; transfer-syntax=1.2.840.10008.1.2.4.80", "{kind}");
    ensure!(coded.bytes().await?.len() < pixels.len());
    let any = "multipart/related; type=application/octet-stream; transfer-syntax=*";
    let parts = viewer.ask(&frame, &[(ACCEPT, any)]).await?;
    ensure!(parts.headers()[CONTENT_TYPE].to_str()?.starts_with("multipart/related"));
    let parts = parts.bytes().await?;
    ensure!(parts.windows(pixels.len()).any(|part| part == pixels));
    for (path, status) in [
        (format!("{place}/frames/2"), 404),
        (format!("{place}/frames/0"), 400),
        (format!("{place}/frames/x"), 400),
        (format!("{place}/bulkdata/00100020"), 200),
        (format!("{place}/bulkdata/00100099"), 404),
        (format!("{place}/rendered?window=40,400,linear&viewport=32,32&quality=80"), 200),
        (format!("{place}/rendered?window=40"), 400),
        (format!("{place}/rendered?colour=1"), 400),
        (format!("{series}/thumbnail"), 200),
        (place.to_owned(), 200),
    ] {
        ensure!(viewer.status(&path).await? == status, "{path}");
    }
    let refused = viewer.ask(&frame, &[(ACCEPT, "text/html")]).await?;
    ensure!(refused.status() == 406 && refused.text().await?.contains("image/jls"));
    Ok(())
}
