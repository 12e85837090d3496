// The official TypeScript clients, both generations, against the real program: over stdio and HTTP, in every era.
//
// Each combination gets a store of its own, connects, lists the tools, runs sdk/scenario.json, and checks every result against
// the tool's output schema with Ajv, structured and textual form alike. Output is TAP.
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';

const [installed, program] = process.argv.slice(2);
const require = createRequire(path.join(path.resolve(installed), 'package.json'));
const scenario = JSON.parse(readFileSync(new URL('./scenario.json', import.meta.url), 'utf8'));
const Ajv2020 = require('ajv/dist/2020').default;
const v1 = { Client: require('@modelcontextprotocol/sdk/client/index.js').Client,
	Stdio: require('@modelcontextprotocol/sdk/client/stdio.js').StdioClientTransport,
	Http: require('@modelcontextprotocol/sdk/client/streamableHttp.js').StreamableHTTPClientTransport };
const second = require('@modelcontextprotocol/client');
const v2 = { Client: second.Client, Stdio: require('@modelcontextprotocol/client/stdio').StdioClientTransport,
	Http: second.StreamableHTTPClientTransport };

const MODERN = '2026-07-28';
const LEGACY = '2025-11-25';
const combinations = [
	{ name: 'sdk 1.x', sdk: v1, options: {}, revision: LEGACY },
	{ name: 'client 2.x legacy', sdk: v2, options: { versionNegotiation: { mode: 'legacy' } }, revision: LEGACY },
	{ name: 'client 2.x auto', sdk: v2, options: { versionNegotiation: { mode: 'auto' } }, revision: MODERN },
	{ name: 'client 2.x pinned', sdk: v2, options: { versionNegotiation: { mode: { pin: MODERN } } }, revision: MODERN },
];

let count = 0;
let failures = 0;

function report(ok, name, detail) {
	count += 1;
	failures += ok ? 0 : 1;
	console.log(`${ok ? 'ok' : 'not ok'} ${count} - ${name}`);
	if (!ok && detail)
		console.log(String(detail).replace(/^/gm, '# '));
}

// The server says where it listens on its standard error.
function serve(directory) {
	const child = spawn(program, ['serve', '--data-dir', directory, '--port', '0'], { stdio: ['ignore', 'ignore', 'pipe'] });
	const ended = new Promise((resolve) => child.on('exit', resolve));
	const url = new Promise((resolve, reject) => {
		let text = '';
		child.stderr.on('data', (piece) => {
			text += piece;
			const found = /http:\/\/127\.0\.0\.1:\d+/.exec(text);
			if (found)
				resolve(new URL(`${found[0]}/mcp`));
		});
		ended.then((code) => reject(new Error(`serve ended with ${code}: ${text}`)));
	});
	return { url, stop: () => { child.kill('SIGTERM'); return ended; } };
}

function check(step, result, validate) {
	const object = result.structuredContent;
	const text = result.content?.[0]?.text;
	const expectError = step.is_error ?? step.expect.success === false;
	if (!validate(object))
		return `output schema: ${JSON.stringify(validate.errors)}\n${JSON.stringify(object)}`;
	if (!isDeepStrictEqual(JSON.parse(text), object))
		return `text and structured content differ: ${text}`;
	if (Boolean(result.isError) !== expectError)
		return `isError is ${result.isError}: ${text}`;
	for (const [name, value] of Object.entries(step.expect))
		if (!isDeepStrictEqual(object[name], value))
			return `${name} is ${JSON.stringify(object[name])}, not ${JSON.stringify(value)}: ${text}`;
	return null;
}

async function runScenario(client, label, revision) {
	const version = client.getNegotiatedProtocolVersion?.() ?? client.transport?.protocolVersion ?? client._negotiatedProtocolVersion;
	if (version !== undefined)
		report(version === revision, `${label}: speaks ${revision}`, `it speaks ${version}`);
	const { tools } = await client.listTools();
	const names = tools.map((tool) => tool.name).sort();
	report(isDeepStrictEqual(names, scenario.tools), `${label}: lists the tools`, names.join(' '));
	const validators = new Map(tools.map((tool) => [tool.name, new Ajv2020({ strict: false }).compile(tool.outputSchema)]));
	for (const [index, step] of scenario.steps.entries()) {
		const result = await client.callTool({ name: step.tool, arguments: step.arguments });
		const wrong = check(step, result, validators.get(step.tool));
		report(wrong === null, `${label}: step ${index + 1}, ${step.tool}`, wrong);
	}
	const refused = await client.callTool({ name: 'no_such_tool', arguments: {} }).then(() => null, (error) => error);
	report(refused?.code === -32602, `${label}: an unknown tool is -32602`, refused);
}

async function runOne(combination, transportName) {
	const label = `${combination.name} over ${transportName}`;
	const directory = mkdtempSync(path.join(tmpdir(), 'context-store-sdk-'));
	const server = transportName === 'http' ? serve(directory) : null;
	const client = new combination.sdk.Client({ name: 'context-store-tests', version: '1.0.0' }, combination.options);
	try {
		const transport = server ? new combination.sdk.Http(await server.url)
			: new combination.sdk.Stdio({ command: program, args: ['stdio', '--data-dir', directory] });
		await client.connect(transport);
		report(true, `${label}: connects`);
		await runScenario(client, label, combination.revision);
		await client.close();
	} catch (error) {
		report(false, `${label}: goes through`, error.stack);
	} finally {
		if (server)
			report(await server.stop() === 0, `${label}: the server ends with 0`);
		rmSync(directory, { recursive: true, force: true });
	}
}

for (const combination of combinations)
	for (const transportName of ['stdio', 'http'])
		await runOne(combination, transportName);
console.log(`1..${count}`);
process.exit(failures ? 1 : 0);
