document.querySelectorAll('table.sortable th').forEach(head=>head.addEventListener('click',()=>{
  const table=head.closest('table'),column=[...head.parentNode.children].indexOf(head),down=head.classList.contains('up');
  table.querySelectorAll('th').forEach(other=>other.classList.remove('up','down'));
  head.classList.add(down?'down':'up');
  const value=row=>{const cell=row.children[column];return 'v' in cell.dataset?parseFloat(cell.dataset.v):cell.textContent};
  const body=table.tBodies[0];
  [...body.rows].sort((a,b)=>{const x=value(a),y=value(b);
    if(typeof x==='number'&&typeof y==='number'){if(isNaN(x))return 1;if(isNaN(y))return -1;return down?y-x:x-y}
    return down?String(y).localeCompare(String(x)):String(x).localeCompare(String(y))}).forEach(row=>body.append(row));
}));
const large=document.getElementById('large');
document.querySelectorAll('.images img').forEach(image=>image.addEventListener('click',()=>{
  large.querySelector('img').src=image.src;large.querySelector('p').textContent=image.alt;large.classList.add('on')}));
large.addEventListener('click',()=>large.classList.remove('on'));
document.addEventListener('keydown',event=>{if(event.key==='Escape')large.classList.remove('on')});
document.querySelectorAll('.legend span').forEach(key=>key.addEventListener('click',()=>{
  const off=key.classList.toggle('off');
  document.querySelectorAll('.curves [data-line="'+key.dataset.line+'"]').forEach(line=>line.style.display=off?'none':'')}));
