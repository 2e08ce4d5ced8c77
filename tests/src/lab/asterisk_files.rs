//! The configuration of the laboratory's Asterisk: one text per file, the same for both versions.
//! Extensions: agents by number · 500 queue `support` · 501 the same, answered before it waits ·
//! 510 with the queue's name before the caller's · 520 with the headers of our PBX guide ·
//! 530 queue `brief`, which rings 2 s and gives up · 540 queue `nobody`, which lets no one in ·
//! 600 ring group · 610 ring group with the shadow extension 199 · 620 one agent after the other ·
//! *8 and an agent's number picks up what rings there.

use std::path::Path;

use crate::lab::asterisk::{ADAPTER_PASSWORD, ADAPTER_USER, Plan, carrier_of, phone_of};

/// Writes all files that Asterisk needs to run from `folder`; `root` is where it is unpacked.
pub(super) fn write(plan: &Plan, root: &Path, folder: &Path) -> anyhow::Result<()> {
    for name in ["etc", "run", "db", "spool", "log", "cache"] {
        std::fs::create_dir(folder.join(name))?;
    }
    let mut files = vec![
        ("asterisk.conf", directories(root, folder)),
        ("modules.conf", modules(plan)),
        ("logger.conf", "[general]\n[logfiles]\nmessages.log => notice,warning,error,verbose\n".into()),
        ("pjsip.conf", pjsip(plan)),
        ("extensions.conf", extensions(plan)),
        ("queues.conf", queues(plan)),
        ("manager.conf", manager(plan)),
        ("hep.conf", hep(plan)),
        ("rtp.conf", "[general]\nrtpstart=20000\nrtpend=29999\n".into()),
    ];
    // Not having them costs an error line each in the log, where it would hide a real one.
    let empty =
        ["features", "cel", "cdr", "http", "udptl", "ccss", "acl", "queuerules", "sorcery", "indications"];
    let more_empty = ["pjproject", "stasis", "cli_aliases", "cli", "pjsip_notify", "codecs", "dnsmgr"];
    for name in empty.iter().chain(&more_empty) {
        std::fs::write(folder.join(format!("etc/{name}.conf")), "")?;
    }
    for (name, more) in &plan.more {
        match files.iter_mut().find(|(file, _)| file == name) {
            Some((_, text)) => text.push_str(more),
            None => files.push((name, more.clone())),
        }
    }
    for (name, text) in files {
        std::fs::write(folder.join("etc").join(name), text)?;
    }
    Ok(())
}

fn directories(root: &Path, folder: &Path) -> String {
    let (root, folder) = (root.display(), folder.display());
    format!(
        "[directories]
astetcdir => {folder}/etc
astmoddir => {root}/modules
astdatadir => {root}/data
astsbindir => {root}/usr/sbin
astvarlibdir => {folder}/db
astdbdir => {folder}/db
astkeydir => {folder}/db
astagidir => {folder}/db
astspooldir => {folder}/spool
astrundir => {folder}/run
astlogdir => {folder}/log
astcachedir => {folder}/cache
[options]
verbose = 3
"
    )
}

/// Named one by one: what is not loaded needs no configuration and opens no port.
fn modules(plan: &Plan) -> String {
    let mut names = vec![
        "res_sorcery_config",
        "res_sorcery_memory",
        "res_sorcery_astdb",
        "res_pjproject",
        "res_pjsip",
        "res_pjsip_session",
        "res_pjsip_pubsub",
        // res_pjsip_exten_state does not load without it
        "res_pjsip_outbound_publish",
        "res_pjsip_exten_state",
        "res_pjsip_dialog_info_body_generator",
        "res_pjsip_pidf_body_generator",
        "res_pjsip_xpidf_body_generator",
        "res_pjsip_caller_id",
        "res_pjsip_authenticator_digest",
        "res_pjsip_outbound_authenticator_digest",
        "res_pjsip_endpoint_identifier_ip",
        "res_pjsip_endpoint_identifier_user",
        "res_pjsip_registrar",
        "res_pjsip_sdp_rtp",
        "res_pjsip_refer",
        "res_pjsip_diversion",
        "res_pjsip_header_funcs",
        "res_pjsip_rfc3326",
        "res_pjsip_logger",
        "res_pjsip_nat",
        "res_rtp_asterisk",
        // the console command `channel originate`: a phone that dials out
        "res_clioriginate",
        "chan_pjsip",
        "codec_ulaw",
        "codec_alaw",
        "bridge_simple",
        "bridge_builtin_features",
        "bridge_holding",
        "app_dial",
        "app_directed_pickup",
        "app_queue",
        "app_stack",
        "func_callerid",
        "func_channel",
        "pbx_config",
    ];
    if plan.hep.is_some() {
        names.extend(["res_hep", "res_hep_pjsip"]);
    }
    let loads: String = names.iter().map(|name| format!("load={name}.so\n")).collect();
    format!("[modules]\nautoload=no\n{loads}")
}

fn pjsip(plan: &Plan) -> String {
    let ip = plan.ip;
    let mut text = format!(
        "[global]
type=global
endpoint_identifier_order=ip,username,anonymous

[transport-udp]
type=transport
protocol=udp
bind={ip}:5060

[transport-tcp]
type=transport
protocol=tcp
bind={ip}:5060

[trunk]
type=endpoint
context=from-trunk
disallow=all
allow=alaw,ulaw
trust_id_inbound=yes

[trunk]
type=identify
endpoint=trunk
match={carrier}

; where the adapter subscribes, with its extension or with its user name in From
[adapter](!)
type=endpoint
context=agents
subscribe_context=agents
auth=adapter-auth
aors=198
notify_early_inuse_ringing=yes
disallow=all
allow=alaw

[198](adapter)

[{ADAPTER_USER}](adapter)

[adapter-auth]
type=auth
auth_type=userpass
username={ADAPTER_USER}
password={ADAPTER_PASSWORD}

[198]
type=aor
max_contacts=1

; the shadow extension, which registers
[199]
type=endpoint
context=agents
auth=199
aors=199
disallow=all
allow=alaw,ulaw

[199]
type=auth
auth_type=userpass
username=199
password={ADAPTER_PASSWORD}

[199]
type=aor
max_contacts=1
remove_existing=yes

; all agents in one subscription (RFC 4662)
[agents]
type=resource_list
event=dialog
full_state=no
",
        carrier = carrier_of(ip)
    );
    for agent in &plan.agents {
        text.push_str(&format!("list_item={agent}\n"));
    }
    for agent in &plan.agents {
        let phone = phone_of(ip, *agent);
        text.push_str(&format!(
            "
[{agent}]
type=endpoint
context=agents
aors={agent}
callerid=\"Agent {agent}\" <{agent}>
disallow=all
allow=alaw,ulaw

[{agent}]
type=aor
contact=sip:{agent}@{phone}
"
        ));
    }
    text
}

fn extensions(plan: &Plan) -> String {
    let group = plan.agents.iter().map(|agent| format!("PJSIP/{agent}")).collect::<Vec<_>>().join("&");
    let hints: String = plan.agents.iter().map(|a| format!("exten => {a},hint,PJSIP/{a}\n")).collect();
    let dials: String = plan.agents.iter().map(|a| format!("exten => {a},1,Dial(PJSIP/{a},60)\n")).collect();
    let hunt: String =
        plan.agents.iter().map(|agent| format!(" same => n,Dial(PJSIP/{agent},2)\n")).collect();
    format!(
        "[general]
[agents]
{hints}{dials}exten => _*8.,1,PickupChan(PJSIP/${{EXTEN:2}})

[from-trunk]
include => agents
exten => 500,1,Queue(support,,,,60)
exten => 501,1,Answer()
 same => n,Queue(support,,,,60)
exten => 510,1,Set(CALLERID(name)=Q-support: ${{CALLERID(name)}})
 same => n,Queue(support,,,,60)
exten => 520,1,Set(__ORIGINAL=${{CHANNEL(pjsip,call-id)}})
 same => n,Queue(support,b(addhdr^s^1),,,60)
exten => 530,1,Queue(brief,n,,,3)
 same => n,Hangup(19)
exten => 540,1,Queue(nobody,,,,60)
 same => n,Hangup(17)
exten => 600,1,Dial({group},60)
exten => 610,1,Dial({group}&PJSIP/199,60)
exten => 620,1,NoOp()
{hunt}
[addhdr]
exten => s,1,Set(PJSIP_HEADER(add,X-Queue)=support)
 same => n,Set(PJSIP_HEADER(add,X-DID)=520)
 same => n,Set(PJSIP_HEADER(add,X-Original-Call-ID)=${{ORIGINAL}})
 same => n,Return()
"
    )
}

fn queues(plan: &Plan) -> String {
    let members: String = plan.agents.iter().map(|agent| format!("member => PJSIP/{agent}\n")).collect();
    format!(
        "[general]\npersistentmembers=no\n[support]\nstrategy=ringall\ntimeout=20\nretry=1\nringinuse=no\n{members}\
         [brief]\nstrategy=ringall\ntimeout=2\nretry=1\nringinuse=no\n{members}\
         [nobody]\nstrategy=ringall\njoinempty=no\n"
    )
}

fn manager(plan: &Plan) -> String {
    let ip = plan.ip;
    format!(
        "[general]\nenabled=yes\nport=5038\nbindaddr={ip}\n[{ADAPTER_USER}]\nsecret={ADAPTER_PASSWORD}\n\
         permit=127.0.0.0/255.0.0.0\nread=agent,call\nwrite=reporting\n"
    )
}

fn hep(plan: &Plan) -> String {
    match plan.hep {
        Some(address) => format!(
            "[general]\nenabled=yes\ncapture_address={address}\ncapture_password={ADAPTER_PASSWORD}\n\
             capture_id=30\nuuid_type=call-id\n"
        ),
        None => String::new(),
    }
}
