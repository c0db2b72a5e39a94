#!/bin/bash
# Long-lived clients that reconnect by themselves and read the token file again for each attempt. The old token is dead,
# the server drops the connection, and the new token comes into the file before that, or four seconds after.
#
# Guess: a client with automatic reconnect goes on trying after a refusal, as after a server that is away, and is back
#        soon after the file has a good token. If the file has it in time, it is back in any case.
#
# Seen 2026-11-28 with mqtt 5.16.0 against aedes 1.2.0, socket.io-client 4.8.4 and python-socketio 5.18.1 against
# socket.io 4.8.4, nats 2.29.3, @nats-io/transport-node 3.4.0 and nats-py 2.16.0 against Debian 12's nats-server
# 2.9.10, paho-mqtt 2.2.0:
#   - mqtt (JavaScript) and socket.io-client give up for good at the first refusal. The process goes on without a
#     connection, and socket.io-client says nothing unless one listens for connect_error.
#   - both JavaScript clients of NATS close for good at the second refusal in a row; being dropped is the first.
#   - nats-py closes for good when it is dropped, though the file has the new token already.
#   - paho-mqtt and python-socketio (the same two protocols) go on trying and come back.
#   - `reconnectOnConnackError: true`, connect() in a connect_error handler and `ignoreAuthErrorAbort: true` mend the
#     first four. nats-py has no such switch: connect anew in its closed_cb.
#
# For users of renewd: a token that is late by one reconnect, after an outage of the issuer say, takes such a job off
# line until it is restarted, and a good token file does not bring it back. Set the switch, or restart it by a hook.
set -eu
T=$(mktemp -d)
trap 'rm -rf "$T"' EXIT
cd "$T"
apt-get download nats-server=2.9.10-1+b3 > /dev/null 2>&1
dpkg -x nats-server_*.deb .
python3 -m venv v
v/bin/pip -q --disable-pip-version-check install paho-mqtt==2.2.0 nats-py==2.16.0 python-socketio==5.18.1 aiohttp==3.14.5
echo '{"private":true}' > package.json
npm install --silent --no-audit --no-fund mqtt@5.16.0 aedes@1.2.0 socket.io@4.8.4 socket.io-client@4.8.4 nats@2.29.3 \
    @nats-io/transport-node@3.4.0

# The servers take the token that the file `good` has. USR1 drops every connection.
cat > servers.mjs <<'JS'
import { Aedes } from 'aedes'
import { Server } from 'socket.io'
import fs from 'node:fs'
import http from 'node:http'
import net from 'node:net'
const good = () => fs.readFileSync('good', 'utf8')
const sockets = new Set()
const watched = (server) => server.on('connection', (s) => { sockets.add(s); s.on('close', () => sockets.delete(s)) })
const broker = await Aedes.createBroker({
  authenticate: (_client, _user, password, done) => {
    const ok = String(password) === good()
    done(ok ? null : Object.assign(new Error('expired'), { returnCode: 5 }), ok)
  },
})
const mqtt = watched(net.createServer(broker.handle))
const web = watched(http.createServer())
new Server(web).use((socket, next) => next(socket.handshake.auth.token === good() ? undefined : new Error('expired')))
for (const server of [mqtt, web]) await new Promise((done) => server.listen(0, '127.0.0.1', done))
process.on('SIGUSR1', () => sockets.forEach((s) => s.destroy()))
fs.writeFileSync('ports.new', `${mqtt.address().port} ${web.address().port}`)
fs.renameSync('ports.new', 'ports')
JS
# Each client adds a dot to `up` whenever it is connected. SWITCH=on sets what makes it try again.
cat > client.mjs <<'JS'
import fs from 'node:fs'
const [name, port] = process.argv.slice(2)
const on = process.env.SWITCH === 'on'
const token = () => fs.readFileSync('token', 'utf8')
const up = () => fs.appendFileSync('up', '.')
if (name === 'mqtt') {
  const { connect } = (await import('mqtt')).default
  const options = on ? { reconnectOnConnackError: true } : {}
  const c = connect(`mqtt://127.0.0.1:${port}`, { username: 'job', password: token(), reconnectPeriod: 500, ...options })
  c.on('connect', up).on('error', () => {}).on('close', () => { c.options.password = token() })
} else if (name === 'socket.io-client') {
  const { io } = await import('socket.io-client')
  const c = io(`http://127.0.0.1:${port}`, { auth: (give) => give({ token: token() }), reconnectionDelay: 500 }).on('connect', up)
  if (on) c.on('connect_error', () => c.active || setTimeout(() => c.connect(), 500))
} else {
  const { connect, tokenAuthenticator } = await import(name)
  const c = await connect({ servers: `127.0.0.1:${port}`, authenticator: tokenAuthenticator(token), reconnectTimeWait: 500,
    maxReconnectAttempts: -1, ignoreAuthErrorAbort: on })
  up()
  for await (const s of c.status()) if (s.type === 'reconnect') up()
}
setInterval(() => {}, 1000)
JS
cat > client.py <<'PY'
import asyncio, sys
name, port = sys.argv[1], int(sys.argv[2])
def token():
    return open("token").read()
def up():
    open("up", "a").write(".")
async def nats_py():
    import nats
    async def back():
        up()
    await nats.connect(f"nats://127.0.0.1:{port}", token=token, reconnect_time_wait=0.5, max_reconnect_attempts=-1, reconnected_cb=back)
    up()
    await asyncio.Event().wait()
async def python_socketio():
    import socketio
    client = socketio.AsyncClient(reconnection_delay=0.5, reconnection_delay_max=1)
    client.on("connect", up)
    await client.connect(f"http://127.0.0.1:{port}", auth=lambda: {"token": token()})
    await asyncio.Event().wait()
def paho():
    import paho.mqtt.client as mqtt
    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2)
    client.reconnect_delay_set(1, 1)
    client.on_pre_connect = lambda *_: client.username_pw_set("job", token())
    client.on_connect = lambda _c, _u, _f, reason, _p: None if reason.is_failure else up()
    client.connect("127.0.0.1", port)
    client.loop_forever()
{"paho-mqtt": paho, "nats-py": lambda: asyncio.run(nats_py()), "python-socketio": lambda: asyncio.run(python_socketio())}[name]()
PY
cat > run.py <<'PY'
import os, signal, socket, subprocess, time

def put(name, text):
    with open(name + ".new", "w") as f:
        f.write(text)
    os.rename(name + ".new", name)

def until(test, limit):
    end = time.time() + limit
    while not test() and time.time() < end:
        time.sleep(0.1)
    return test()

def ups():
    return len(open("up").read())

def listens(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0

quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}

def start_nats():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    def accept(token):
        put("nats.conf", f'listen: "127.0.0.1:{port}"\nauthorization {{ token: "{token}" }}\n')
    accept("A")
    server = subprocess.Popen(["usr/sbin/nats-server", "-c", "nats.conf"], **quiet)
    until(lambda: listens(port), 15)
    def change():
        accept("B")
        server.send_signal(signal.SIGHUP)
    return server, port, change

def start_node(which):
    put("good", "A")
    server = subprocess.Popen(["node", "servers.mjs"], **quiet)
    until(lambda: os.path.exists("ports"), 15)
    port = int(open("ports").read().split()[which])
    os.remove("ports")
    def change():
        put("good", "B")
        server.send_signal(signal.SIGUSR1)
    return server, port, change

def back(name, kind, late, switch):
    put("up", "")
    put("token", "A")
    server, port, change = start_nats() if kind == "nats" else start_node(kind)
    client = None
    try:
        command = ["v/bin/python", "client.py"] if name in ("paho-mqtt", "python-socketio", "nats-py") else ["node", "client.mjs"]
        client = subprocess.Popen(command + [name, str(port)], env=dict(os.environ, SWITCH=switch), **quiet)
        if not until(lambda: ups() == 1, 20):
            return "never connected"
        if not late:
            put("token", "B")
        change()
        if late:
            time.sleep(4)
            put("token", "B")
        return "back" if until(lambda: ups() > 1, 15) else "gone for good"
    finally:
        for p in (client, server):
            if p:
                p.kill()
                p.wait()

for name, kind, switch in [("mqtt", 0, True), ("paho-mqtt", 0, False), ("socket.io-client", 1, True), ("python-socketio", 1, False),
                           ("nats", "nats", True), ("@nats-io/transport-node", "nats", True), ("nats-py", "nats", False)]:
    said = [f"token in time: {back(name, kind, False, 'off')}", f"4 s late: {back(name, kind, True, 'off')}"]
    if switch:
        said.append(f"4 s late, switch set: {back(name, kind, True, 'on')}")
    print(f"SEEN: {name}:", ", ".join(said), flush=True)
PY
v/bin/python run.py | tee seen
diff -u - seen <<'END' || { echo "changed since 2026-11-28"; exit 1; }
SEEN: mqtt: token in time: back, 4 s late: gone for good, 4 s late, switch set: back
SEEN: paho-mqtt: token in time: back, 4 s late: back
SEEN: socket.io-client: token in time: back, 4 s late: gone for good, 4 s late, switch set: back
SEEN: python-socketio: token in time: back, 4 s late: back
SEEN: nats: token in time: back, 4 s late: gone for good, 4 s late, switch set: back
SEEN: @nats-io/transport-node: token in time: back, 4 s late: gone for good, 4 s late, switch set: back
SEEN: nats-py: token in time: gone for good, 4 s late: gone for good
END
