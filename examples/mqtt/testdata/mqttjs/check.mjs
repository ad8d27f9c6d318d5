// Checks a broker with MQTT.js: node check.mjs HOST:PORT [mosquitto]
import assert from "node:assert/strict";
import { once } from "node:events";
import mqtt from "mqtt";

const url = `mqtt://${process.argv[2]}`;
const connect = (id, options) =>
	mqtt.connectAsync(url, { clientId: id, reconnectPeriod: 0, connectTimeout: 30000, ...options });

for (const protocolVersion of [3, 4, 5]) {
	const name = `v${protocolVersion}`;
	const old = protocolVersion === 3 ? { protocolId: "MQIsdp" } : {};
	const options = { protocolVersion, ...old };

	// Each QoS, in order.
	const sub = await connect(`${name}-sub`, options);
	const got = [];
	sub.on("message", (topic, payload, packet) => got.push(`${topic} ${payload} ${packet.qos}`));
	await sub.subscribeAsync(`${name}/#`, { qos: 2 });
	const pub = await connect(`${name}-pub`, { ...options, will: { topic: `${name}/will`, payload: "gone", qos: 1 } });
	for (const qos of [0, 1, 2]) await pub.publishAsync(`${name}/a`, `m${qos}`, { qos });
	const want = [`${name}/a m0 0`, `${name}/a m1 1`, `${name}/a m2 2`];
	await until(() => got.length === 3);
	assert.deepEqual(got, want);

	// The will, of a connection that breaks.
	pub.stream.destroy();
	await until(() => got.length === 4);
	assert.equal(got[3], `${name}/will gone 1`);

	// A session that is kept.
	const kept = { ...options, clean: false, properties: protocolVersion === 5 ? { sessionExpiryInterval: 60 } : undefined };
	const first = await connect(`${name}-kept`, kept);
	await first.subscribeAsync(`${name}-kept/+`, { qos: 1 });
	await first.endAsync();
	await sub.publishAsync(`${name}-kept/x`, "queued", { qos: 1 });
	const second = mqtt.connect(url, { clientId: `${name}-kept`, reconnectPeriod: 0, ...kept });
	const message = once(second, "message");
	const [ack] = await once(second, "connect");
	if (protocolVersion > 3) assert.equal(ack.sessionPresent, true);
	const [topic, payload] = await message;
	assert.equal(`${topic} ${payload}`, `${name}-kept/x queued`);
	await second.endAsync();
	await sub.endAsync();
}

// Version 5: topic aliases in both directions, properties, and the reason of a takeover.
const five = { protocolVersion: 5 };
const sub = await connect("five-sub", { ...five, properties: { topicAliasMaximum: 10 } });
const got = [];
sub.on("message", (topic, payload, packet) => got.push([topic, `${payload}`, packet.properties]));
await sub.subscribeAsync("five/+", { qos: 0, properties: { subscriptionIdentifier: 7 } });
const pub = await connect("five-pub", { ...five, autoAssignTopicAlias: true });
for (const payload of ["a", "b"]) {
	await pub.publishAsync("five/x", payload, { qos: 1, properties: { userProperties: { k: "v" }, responseTopic: "re", correlationData: Buffer.from("c") } });
}
await until(() => got.length === 2);
for (const [i, [topic, payload, properties]] of got.entries()) {
	assert.equal(topic || "five/x", "five/x"); // MQTT.js shows an alias as it came
	assert.equal(payload, "ab"[i]);
	assert.equal(properties.userProperties.k, "v");
	assert.equal(properties.responseTopic, "re");
	assert.equal(`${properties.correlationData}`, "c");
	assert.equal(properties.subscriptionIdentifier, 7);
}
const told = once(pub, "disconnect");
const other = await connect("five-pub", five);
if (process.argv[3] !== "mosquitto") assert.equal((await told)[0].reasonCode, 0x8e);
for (const c of [sub, pub, other]) c.end(true);

async function until(done) {
	for (const end = Date.now() + 30000; !done(); ) {
		assert.ok(Date.now() < end, "it takes too long");
		await new Promise((resolve) => setTimeout(resolve, 5));
	}
}
