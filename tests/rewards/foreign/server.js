// A reward server in JavaScript, written from docs/reward-contract.md: smoothness of the predicted drive.
//
//   node server.js PROTO [--port N] [--token-file FILE]
//
// value = -min(mean |jerk| / 10 m/s3, 1), in [-1, 0]; jerk is the difference of successive accelerations over
// 0.1 s. It is a pure function of the rollout, so every call is idempotent without a cache. Prints "address
// HOST:PORT" once it serves; ends at SIGTERM when the calls in flight are answered.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { parseArgs } = require('node:util');
const grpc = require('@grpc/grpc-js');
const loader = require('@grpc/proto-loader');
const { HealthImplementation } = require('grpc-health-check');

const SERVICE = 'ar1.rewards.v1.RewardService';
const MESSAGE_BYTES = 64 * 2 ** 20;
const TEXT_BYTES = 64 * 2 ** 10;
const MOST_STEPS = 1024;
const MOST_CLIPS = 10_000;
const STEP_S = 0.1;
const JERK_SCALE = 10;
const DESCRIPTION = {
  name: 'smoothness',
  version: '1',
  low: -1,
  high: 0,
  components: [{ name: 'mean_jerk', low: 0, high: Infinity, doc: 'mean change of acceleration, m/s3' }],
  needs: ['TRAJECTORY'],
  maxBatch: 256,
  mode: 'PER_ROLLOUT',
  doc: 'Smoothness of the predicted acceleration.',
};
const instance = crypto.randomUUID();
const clips = new Map(); // clip id -> true, oldest first; this reward reads nothing of the scene

class DataError extends Error {}

function need(condition, why) {
  if (!condition) throw new DataError(why);
}

// Numbers of a FLOAT32 or FLOAT64 array with the expected shape (null: any length). Throws DataError.
function floats(array, what, expected) {
  need(array, `${what} is missing`);
  const size = { FLOAT32: 4, FLOAT64: 8 }[array.dtype];
  need(size, `${what}: dtype ${array.dtype} where FLOAT32 or FLOAT64 is expected`);
  const fits = array.shape.length === expected.length && expected.every((n, i) => n === null || n === array.shape[i]);
  need(fits, `${what}: shape [${array.shape}] where [${expected.map((n) => n ?? 'any')}] is expected`);
  const count = array.shape.reduce((product, n) => product * n, 1);
  need(count * size === array.data.length, `${what}: ${array.data.length} bytes for ${count} numbers of ${size}`);
  const bytes = new DataView(array.data.buffer, array.data.byteOffset, array.data.length);
  const numbers = Array.from({ length: count }, (_, i) =>
    size === 8 ? bytes.getFloat64(8 * i, true) : bytes.getFloat32(4 * i, true),
  );
  need(numbers.every(Number.isFinite), `${what}: not all numbers are finite`);
  return numbers;
}

function putClip(clip) {
  need(clip.clipId, 'clip_id is empty');
  floats(clip.egoHistory, 'ego_history', [null, 4]);
  floats(clip.egoFuture, 'ego_future', [null, 4]);
  floats(clip.actions, 'actions', [clip.egoFuture.shape[0], 2]);
  clips.delete(clip.clipId);
  clips.set(clip.clipId, true);
  if (clips.size > MOST_CLIPS) clips.delete(clips.keys().next().value);
  return { status: 'OK' };
}

function scoreRollout(rollout) {
  const id = rollout.rolloutId;
  need(id && rollout.clipId, 'rollout_id and clip_id must not be empty');
  need(Buffer.byteLength(rollout.text) <= TEXT_BYTES, `text: more than ${TEXT_BYTES} bytes`);
  const carries = [Boolean(rollout.actions), Boolean(rollout.states)];
  need(carries.every((has) => has === rollout.valid), 'both arrays when valid, none when not');
  if (rollout.valid) {
    const steps = rollout.actions.shape[0];
    need(steps >= 1 && steps <= MOST_STEPS, `actions: ${steps} steps, 1 to ${MOST_STEPS} are allowed`);
  }
  const actions = rollout.valid ? floats(rollout.actions, 'actions', [null, 2]) : [];
  if (rollout.valid) floats(rollout.states, 'states', [rollout.actions.shape[0], 4]);
  if (!clips.has(rollout.clipId)) {
    return { rolloutId: id, status: 'UNKNOWN_CLIP', explanation: `clip ${rollout.clipId} is not held here` };
  }
  if (!rollout.valid) {
    return { rolloutId: id, status: 'OK', value: DESCRIPTION.low, explanation: `invalid: ${rollout.reason}` };
  }
  const changes = actions.length / 2 - 1;
  let jerk = 0;
  for (let i = 0; i < changes; i++) jerk += Math.abs(actions[2 * i + 2] - actions[2 * i]) / STEP_S / changes;
  const value = -Math.min(jerk / JERK_SCALE, 1);
  return { rolloutId: id, status: 'OK', value, components: { mean_jerk: jerk }, explanation: `mean jerk ${jerk}` };
}

// One bad item never costs another its answer; an error that is not the item's is this server's bug.
function each(items, answer, refusal) {
  return items.map((item) => {
    try {
      return answer(item);
    } catch (error) {
      const status = error instanceof DataError ? 'DATA' : 'REWARD_BUG';
      return { ...refusal(item), status, explanation: error.message };
    }
  });
}

function score(call, reply) {
  const { reward, rollouts } = call.request;
  if (reward !== '' && reward !== DESCRIPTION.name) {
    return reply({ code: grpc.status.NOT_FOUND, details: `no reward ${reward}; here: ${DESCRIPTION.name}` });
  }
  if (rollouts.length < 1 || rollouts.length > DESCRIPTION.maxBatch) {
    const details = `${rollouts.length} rollouts; 1 to ${DESCRIPTION.maxBatch} a call`;
    return reply({ code: grpc.status.INVALID_ARGUMENT, details });
  }
  const end = call.getDeadline(); // milliseconds since 1970, or a Date
  const answer = (rollout) =>
    Date.now() < Number(end)
      ? scoreRollout(rollout)
      : { rolloutId: rollout.rolloutId, status: 'DEADLINE', explanation: 'the time of the call ran out' };
  const results = each(rollouts, answer, (rollout) => ({ rolloutId: rollout.rolloutId }));
  return reply(null, { reward: DESCRIPTION.name, version: DESCRIPTION.version, instance, results });
}

function guarded(token, handler) {
  const expected = crypto.createHash('sha256').update(`Bearer ${token}`).digest();
  return (call, reply) => {
    const given = String(call.metadata.get('authorization')[0] ?? '');
    const matches = crypto.timingSafeEqual(crypto.createHash('sha256').update(given).digest(), expected);
    if (token !== null && !matches) return reply({ code: grpc.status.UNAUTHENTICATED, details: 'wrong token' });
    return handler(call, reply);
  };
}

function main() {
  const options = { port: { type: 'string', default: '0' }, 'token-file': { type: 'string' } };
  const { values, positionals } = parseArgs({ allowPositionals: true, options });
  const proto = path.resolve(positionals[0]);
  const definition = loader.loadSync(proto, { enums: String, longs: String, defaults: true });
  const rewards = grpc.loadPackageDefinition(definition).ar1.rewards.v1;
  const token = values['token-file'] ? fs.readFileSync(values['token-file'], 'utf8').trim() : null;
  const server = new grpc.Server({
    'grpc.max_receive_message_length': MESSAGE_BYTES,
    'grpc.max_send_message_length': MESSAGE_BYTES,
  });
  const handlers = {
    Describe: (call, reply) => reply(null, { protocol: 1, instance, rewards: [DESCRIPTION] }),
    PutClips: (call, reply) => reply(null, { results: each(call.request.clips, putClip, () => ({})), instance }),
    Score: score,
    ScoreGroup: (call, reply) => reply({ code: grpc.status.INVALID_ARGUMENT, details: 'scored per rollout' }),
  };
  for (const name of Object.keys(handlers)) handlers[name] = guarded(token, handlers[name]);
  server.addService(rewards.RewardService.service, handlers);
  new HealthImplementation({ '': 'SERVING', [SERVICE]: 'SERVING' }).addToServer(server);
  server.bindAsync(`127.0.0.1:${values.port}`, grpc.ServerCredentials.createInsecure(), (error, port) => {
    if (error) throw error;
    console.log(`address 127.0.0.1:${port}`);
  });
  process.on('SIGTERM', () => server.tryShutdown(() => process.exit(0)));
}

main();
