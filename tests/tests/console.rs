//! The console in a real Chromium: events that are tried out in it flow, are found, rejected, patched, redriven and balanced in it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

use std::time::Duration;

use gosight_tests::dev::{CONSOLE_TOKEN, Dev};
use gosight_tests::devtools::Tab;
use gosight_tests::events::{batch, page_view};
use gosight_tests::process::Process;
use gosight_tests::stack::Stack;
use gosight_tests::wait;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tempfile::TempDir;

const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_tried_out_flows_is_found_and_is_put_right() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let mut tab = Tab::new().await;

    // Through real sendBeacon and gRPC-Web into the edge, and out of the enricher.
    tab.open(&format!("{}/#/try", dev.console)).await;
    let session = tab
        .run(
            "(await until(() => $('#try-buy'))).click()
             await until(() => $('#said').innerText.includes('the click is staged: gosight.events.staging:'))
             $('#try-view').click(); $('#try-scroll').click()
             const summaries = () => [...document.querySelectorAll('#arrived summary')].map((each) => each.innerText)
             for (const what of ['click', 'page_view', 'out_of_range'])
               await until(() => summaries().some((text) => text.includes(what)))
             return /session (try-[0-9a-f]+)/.exec(document.body.innerText)[1]",
        )
        .await;

    let flow = tab
        .run(
            "location.hash = '#/flow'
             await until(() => $('#books')?.innerText.includes('The books balance'))
             await until(() => $('.bars meter'))
             return $('#books').innerText",
        )
        .await;
    assert!(
        flow.as_str().unwrap().contains("3 staged = 2 on raw + 1 rejects"),
        "{flow}"
    );

    // One event, opened to its whole story.
    tab.open(&format!("{}/#/live?session={}", dev.console, session.as_str().unwrap()))
        .await;
    let story = tab
        .run(
            "const click = await until(() => [...document.querySelectorAll('#live details')]
               .find((each) => each.innerText.includes('click')))
             click.open = true
             ;(await until(() => click.querySelector('button'))).click()
             return (await until(() => click.querySelector('pre.story'))).innerText",
        )
        .await;
    let story = story.as_str().unwrap();
    assert!(story.contains("received") && story.contains("published"), "{story}");

    // While it is paused, what comes is counted and waits.
    let held = tab
        .run(
            "const pause = await until(() => [...document.querySelectorAll('button')].find((each) => each.innerText === 'Pause'))
             pause.click()
             return document.querySelectorAll('#live > li').length",
        )
        .await;
    let more = batch("gs_test_key", session.as_str().unwrap(), &[page_view()]);
    let url = format!("{}/v1/events", dev.http);
    Client::new().post(url).json(&more).send().await.unwrap();
    let shown = tab
        .run(
            "await until(() => document.querySelector('main [role=status]').innerText.includes('1 wait'))
             const before = document.querySelectorAll('#live > li').length
             const [goOn] = [...document.querySelectorAll('button')].filter((each) => each.innerText === 'Go on')
             goOn.click()
             await until(() => document.querySelectorAll('#live > li').length === before + 1)
             return before",
        )
        .await;
    assert_eq!(shown, held);

    // The reject: grouped, shown with its field marked, tried with a patch, redriven with the token.
    tab.open(&format!("{}/#/dead-letters", dev.console)).await;
    let marked = tab
        .run(
            "(await until(() => $('#groups button.link'))).click()
             ;(await until(() => $('#rejects td button.link'))).click()
             return (await until(() => $('#reject mark'))).innerText",
        )
        .await;
    assert_eq!(marked.as_str().unwrap().trim(), "\"depth_percent\": 170");
    let tested = tab
        .run(
            "const patch = $('textarea[name=patch]')
             patch.value = '{\"payload\":{\"depth_percent\":70}}'
             const button = (text) => [...document.querySelectorAll('button')].find((each) => each.innerText === text)
             button('Test').click()
             await until(() => $('#tested')?.innerText.startsWith('1 would pass'))
             const example = $('ins').innerText
             button('Redrive').click()
             await until(() => $('#token').open)
             return example",
        )
        .await;
    assert_eq!(tested, "+ /payload/depth_percent: 70");
    let done = tab
        .run(&format!(
            "$('#token input').value = '{CONSOLE_TOKEN}'
             $('#token button.primary').click()
             await until(() => $('#redriven')?.innerText.startsWith('done'))
             await until(() => $('#groups').innerText.includes('No rejects.'))
             await until(() => $('#ledger td'))
             return [$('#redriven').innerText, $('#ledger').innerText]"
        ))
        .await;
    let text = done.to_string();
    assert!(text.contains("redriven 1") && text.contains("(console)"), "{text}");
    let flow = tab
        .run(
            "location.hash = '#/flow'
             return (await until(() => $('#books'))).innerText",
        )
        .await;
    assert!(flow.as_str().unwrap().starts_with("The books balance"), "{flow}");

    // The one 401 is how the page learns that it needs the token.
    let complaints: Vec<_> = tab.complaints().iter().filter(|text| !text.contains("401")).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn it_fits_a_phone_and_works_by_keyboard() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let mut tab = Tab::new().await;
    tab.resize(390, 800).await;
    for page in ["flow", "dead-letters", "live", "try"] {
        tab.open(&format!("{}/#/{page}", dev.console)).await;
        let overflow = tab
            .run("await until(() => $('main h2')); return document.documentElement.scrollWidth - innerWidth")
            .await;
        assert!(overflow.as_i64().unwrap() <= 0, "{page} is {overflow} pixels too wide");
    }
    tab.open(&format!("{}/?again", dev.console)).await;
    tab.run("await until(() => $('nav a[aria-current]')); document.activeElement?.blur()")
        .await;
    // Past the skip link and Flow, to Dead letters.
    for _ in 0..3 {
        tab.press("Tab").await;
    }
    tab.press("Enter").await;
    let hash = tab.run("await until(() => $('#groups')); return location.hash").await;
    assert_eq!(hash, "#/dead-letters");
    assert!(tab.complaints().is_empty(), "{:#?}", tab.complaints());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_need_the_token_and_the_consoles_own_page() {
    let data = TempDir::new().unwrap();
    let dev = Dev::start(data.path()).await;
    let url = |path: &str| format!("{}/api/{path}", dev.console);
    let client = Client::new();
    let discard = json!({ "filter": {}, "reason": "a test" });
    let (right, wrong) = (
        format!("Bearer {CONSOLE_TOKEN}"),
        "Bearer another-token-of-length".to_owned(),
    );
    let own = dev.console.as_str();
    for (token, origin, expected) in [
        (None, Some(own), StatusCode::UNAUTHORIZED),
        (Some(&wrong), Some(own), StatusCode::UNAUTHORIZED),
        (Some(&right), None, StatusCode::FORBIDDEN),
        (Some(&right), Some("https://evil.example"), StatusCode::FORBIDDEN),
        (Some(&right), Some(own), StatusCode::OK),
    ] {
        for path in ["dlq/discard", "dlq/redrive"] {
            let mut request = client.post(url(path)).json(&discard);
            if let Some(token) = token {
                request = request.header("authorization", token);
            }
            if let Some(origin) = origin {
                request = request.header("origin", origin);
            }
            let status = request.send().await.unwrap().status();
            assert_eq!(status, expected, "{path} with {token:?} from {origin:?}");
        }
    }
    // A page that reaches this address under its own name reads nothing.
    let rebound = client
        .get(url("info"))
        .header("host", "evil.example")
        .send()
        .await
        .unwrap();
    assert_eq!(rebound.status(), StatusCode::FORBIDDEN);
    let page = client.get(&dev.console).send().await.unwrap();
    let policy = page.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(
        policy.contains("script-src 'self'") && !policy.contains("unsafe"),
        "{policy}"
    );
    assert!(
        !page.text().await.unwrap().contains("://"),
        "nothing comes from elsewhere"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_shows_the_same_of_kafka() {
    let stack = Stack::new().await;
    let (edge, _enricher) = (stack.edge().await, stack.enricher("console").await);
    let bad = json!({ "type": "no_such_type", "timestamp": page_view()["timestamp"] });
    let body = batch(&stack.key, "s", &[page_view(), bad]);
    let client = Client::new();
    client
        .post(format!("{}/v1/events", edge.http))
        .json(&body)
        .send()
        .await
        .unwrap();

    let (edge_file, enricher_file) = (stack.configuration("edge"), stack.configuration("enricher"));
    let arguments = [
        "console",
        "--config",
        edge_file.to_str().unwrap(),
        "--enricher-config",
        enricher_file.to_str().unwrap(),
        "--listen",
        "127.0.0.1:0",
    ];
    let mut process = Process::start("gosight", &arguments, &stack.environment("edge", &[]));
    let console = process.printed("console", DEADLINE).await;
    let get = |path: &'static str| {
        let (client, url) = (client.clone(), format!("{console}/api/{path}"));
        async move { client.get(url).send().await.unwrap().json::<Value>().await.unwrap() }
    };
    assert_eq!(get("info").await["engine"], "Kafka");
    let groups = wait::until("the reject is there", DEADLINE, || async {
        let groups = get("dlq/groups").await;
        groups["groups"].get(0).is_some().then_some(groups)
    })
    .await;
    assert_eq!(groups["groups"][0]["code"], "unknown_type", "{groups}");
    let books = wait::until("nothing is in flight", DEADLINE, || async {
        let books = get("books").await;
        (books["in_flight"] == 0 && books["staged"] == 2).then_some(books)
    })
    .await;
    assert_eq!(
        (&books["balanced"], &books["raw"], &books["errors"]),
        (&json!(true), &json!(1), &json!(1))
    );
    assert_eq!(get("flow").await["lag"].as_array().unwrap().len(), 12);
    process.signal("TERM");
    assert!(process.ended(DEADLINE).await.success(), "{}", process.output());
}
