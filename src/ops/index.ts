/** To watch queues, and to be told; apart, for what only runs tasks needs nothing of it. */
export type { Criticality, GivenRule, GivenRules, Threshold } from "./alerts/rule-settings.js";
export { type AlertInfo, listAlerts } from "./alerts/list.js";
export { prometheusRules } from "./alerts/prometheus-rules.js";
export type { RuleName } from "./alerts/rule.js";
export type { Severity } from "./alerts/severity.js";
export type { GivenChannel, MailChannel } from "./delivery/channels.js";
export type { Mail, Mailer } from "./delivery/mail.js";
export { type Delivered, testChannels } from "./delivery/test-channels.js";
export type { Notification } from "./delivery/notification.js";
export type { Duty } from "./duties.js";
export { Monitor, type MonitorHealth, type MonitorOptions } from "./monitor.js";
export type { MonitorConfig } from "./monitor-config.js";
export type { MonitorBroker } from "./poll.js";
