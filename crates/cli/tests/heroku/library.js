// npm `heroku-client` through an app's day. Arguments: the server's address. Environment: HEROKU_API_KEY, NODE_EXTRA_CA_CERTS.
'use strict'
const assert = require('node:assert/strict')
const Heroku = require('heroku-client')

const heroku = new Heroku({ host: process.argv[2], token: process.env.HEROKU_API_KEY })
const name = 'library'

async function eventually (what, check) {
  for (let attempt = 0; attempt < 300; attempt++) {
    const found = await check()
    if (found) return found
    await new Promise(resolve => setTimeout(resolve, 200))
  }
  throw new Error(`not in time: ${what}`)
}

// A release that a newer one overtook before it served cannot be gone back to.
async function served () {
  await eventually('the newest release serves', async () => {
    const releases = await heroku.get(`/apps/${name}/releases`)
    return releases.every(release => release.status === 'succeeded')
  })
}

// Log sessions are fetched by whatever a program has for that.
async function logs (wanted) {
  const session = await heroku.post(`/apps/${name}/log-sessions`, { body: { lines: 500, ...wanted } })
  const answer = await fetch(session.logplex_url)
  assert.match(answer.headers.get('content-type'), /^text\/plain/)
  return answer.text()
}

async function main () {
  assert.equal((await heroku.get('/account')).email, 'admin@localhost')
  const app = await heroku.get(`/apps/${name}`)
  assert.equal(app.name, name)
  assert.equal((await heroku.get(`/apps/${app.id}`)).id, app.id)
  assert.ok((await heroku.get('/apps')).some(found => found.id === app.id))

  const config = await heroku.patch(`/apps/${name}/config-vars`, { body: { A: 'one', B: 'two' } })
  assert.deepEqual(config, { A: 'one', B: 'two' })
  await served()
  await heroku.patch(`/apps/${name}/config-vars`, { body: { B: null } })
  assert.deepEqual(await heroku.get(`/apps/${name}/config-vars`), { A: 'one' })
  await served()

  const formation = await heroku.patch(`/apps/${name}/formation`, { body: { updates: [{ type: 'worker', quantity: 1 }] } })
  assert.deepEqual(formation.map(row => [row.type, row.quantity]).sort(), [['web', 1], ['worker', 1]])
  await heroku.patch(`/apps/${name}/formation/worker`, { body: { quantity: 0 } })

  const releases = await heroku.get(`/apps/${name}/releases`)
  assert.deepEqual(releases.map(release => release.version).sort(), [1, 2, 3])
  const second = releases.find(release => release.version === 2)
  const rolled = await heroku.post(`/apps/${name}/releases`, { body: { release: second.id } })
  assert.equal(rolled.version, 4)
  assert.deepEqual(await heroku.get(`/apps/${name}/config-vars`), { A: 'one', B: 'two' })

  const dyno = await heroku.post(`/apps/${name}/dynos`, { body: { command: 'echo from the library' } })
  await eventually('its line is in the log', async () => (await logs({ dyno: dyno.name })).includes('from the library'))
  assert.match(await logs({ source: 'app' }), /app\[web\.1\]: listening on/)

  await assert.rejects(heroku.get('/apps/nothing'), error =>
    error.statusCode === 404 && error.body.id === 'not_found' && error.body.resource === 'app')
  const made = await heroku.post('/apps', { body: { name: 'made-by-node' } })
  assert.equal((await heroku.delete(`/apps/${made.id}`)).name, 'made-by-node')
  console.log('all well')
}

main().catch(error => {
  console.error(error, error.body)
  process.exit(1)
})
